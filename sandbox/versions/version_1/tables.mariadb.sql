-- Owns the tables of the store as version 1 made them on MySQL and MariaDB.

CREATE TABLE api_key_revocations (
    key_hash VARCHAR(128) NOT NULL,
    at DATETIME(6) NOT NULL,
    PRIMARY KEY (key_hash)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE api_keys (
    key_hash VARCHAR(128) NOT NULL,
    at DATETIME(6) NOT NULL,
    app VARCHAR(64) NOT NULL,
    label VARCHAR(255) NOT NULL,
    scopes VARCHAR(255) NOT NULL,
    PRIMARY KEY (key_hash)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE approvals (
    request_id BINARY(16) NOT NULL,
    at DATETIME(6) NOT NULL,
    `check` SMALLINT UNSIGNED NOT NULL,
    attempt SMALLINT UNSIGNED NOT NULL,
    PRIMARY KEY (request_id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE attempts (
    request_id BINARY(16) NOT NULL,
    attempt SMALLINT UNSIGNED NOT NULL,
    at DATETIME(6) NOT NULL,
    provider VARCHAR(64) NOT NULL,
    cause VARCHAR(64) NOT NULL,
    phone_hash VARCHAR(64) NOT NULL,
    PRIMARY KEY (request_id, attempt)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX attempts_sends ON attempts (phone_hash, at);

CREATE TABLE checks (
    request_id BINARY(16) NOT NULL,
    `check` SMALLINT UNSIGNED NOT NULL,
    at DATETIME(6) NOT NULL,
    attempt SMALLINT UNSIGNED NOT NULL,
    result VARCHAR(64) NOT NULL,
    source VARCHAR(64) NOT NULL,
    PRIMARY KEY (request_id, `check`)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE encrypted_numbers (
    request_id BINARY(16) NOT NULL,
    at DATETIME(6) NOT NULL,
    key_id VARCHAR(64) NOT NULL,
    ciphertext MEDIUMBLOB NOT NULL,
    PRIMARY KEY (request_id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE idempotency_answers (
    app VARCHAR(64) NOT NULL,
    idempotency_key VARCHAR(255) NOT NULL,
    at DATETIME(6) NOT NULL,
    status SMALLINT UNSIGNED NOT NULL,
    body MEDIUMBLOB NOT NULL,
    PRIMARY KEY (app, idempotency_key)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX idempotency_answers_at ON idempotency_answers (at);

CREATE TABLE idempotency_claims (
    app VARCHAR(64) NOT NULL,
    idempotency_key VARCHAR(255) NOT NULL,
    at DATETIME(6) NOT NULL,
    fingerprint VARCHAR(128) NOT NULL,
    request_id BINARY(16) NOT NULL,
    PRIMARY KEY (app, idempotency_key)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX idempotency_claims_at ON idempotency_claims (at);

CREATE TABLE inbound (
    provider VARCHAR(64) NOT NULL,
    message_hash VARCHAR(64) NOT NULL,
    phone_hash VARCHAR(64) NOT NULL,
    at DATETIME(6) NOT NULL,
    keyword VARCHAR(64) NOT NULL,
    PRIMARY KEY (provider, message_hash)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX inbound_at ON inbound (at);

CREATE TABLE opt_outs (
    phone_hash VARCHAR(64) NOT NULL,
    message_hash VARCHAR(64) NOT NULL,
    at DATETIME(6) NOT NULL,
    keyword VARCHAR(64) NOT NULL,
    PRIMARY KEY (phone_hash, message_hash)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE outcomes (
    request_id BINARY(16) NOT NULL,
    attempt SMALLINT UNSIGNED NOT NULL,
    at DATETIME(6) NOT NULL,
    outcome VARCHAR(64) NOT NULL,
    error_class VARCHAR(64) NOT NULL,
    error_code VARCHAR(64) NOT NULL,
    provider_reference VARCHAR(128) NOT NULL,
    latency_ms INTEGER NOT NULL,
    segments SMALLINT UNSIGNED NOT NULL,
    PRIMARY KEY (request_id, attempt)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE probes (
    instance BINARY(16) NOT NULL,
    at DATETIME(6) NOT NULL,
    PRIMARY KEY (instance)
)ENGINE=InnoDB;

CREATE TABLE receipts (
    request_id BINARY(16) NOT NULL,
    attempt SMALLINT UNSIGNED NOT NULL,
    stage VARCHAR(128) NOT NULL,
    at DATETIME(6) NOT NULL,
    provider VARCHAR(64) NOT NULL,
    status VARCHAR(64) NOT NULL,
    error_class VARCHAR(64) NOT NULL,
    raw_status VARCHAR(64) NOT NULL,
    raw_code VARCHAR(64) NOT NULL,
    carrier VARCHAR(64) NOT NULL,
    provider_at DATETIME(6),
    PRIMARY KEY (request_id, attempt, stage)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE requests (
    id BINARY(16) NOT NULL,
    at DATETIME(6) NOT NULL,
    kind VARCHAR(64) NOT NULL,
    category VARCHAR(64) NOT NULL,
    app VARCHAR(64) NOT NULL,
    purpose VARCHAR(64) NOT NULL,
    template VARCHAR(64) NOT NULL,
    locale VARCHAR(35) NOT NULL,
    phone_hash VARCHAR(64) NOT NULL,
    country VARCHAR(8) NOT NULL,
    region VARCHAR(64) NOT NULL,
    carrier VARCHAR(64) NOT NULL,
    expires_at DATETIME(6),
    PRIMARY KEY (id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX requests_living ON requests (phone_hash, purpose, expires_at);

CREATE TABLE schema_version (
    version INTEGER NOT NULL,
    at DATETIME(6) NOT NULL,
    PRIMARY KEY (version)
)ENGINE=InnoDB;

INSERT INTO schema_version (version, at) VALUES (1, '2026-03-01 12:00:00.000000');
