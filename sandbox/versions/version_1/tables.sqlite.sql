-- Owns the tables of the store as version 1 made them on SQLite.

CREATE TABLE api_key_revocations (
    key_hash VARCHAR(128) NOT NULL,
    at DATETIME NOT NULL,
    PRIMARY KEY (key_hash),
    CHECK (length("key_hash") <= 128)
)
 WITHOUT ROWID;

CREATE TABLE api_keys (
    key_hash VARCHAR(128) NOT NULL,
    at DATETIME NOT NULL,
    app VARCHAR(64) NOT NULL,
    label VARCHAR(255) NOT NULL,
    scopes VARCHAR(255) NOT NULL,
    PRIMARY KEY (key_hash),
    CHECK (length("key_hash") <= 128),
    CHECK (length("app") <= 64),
    CHECK (length("label") <= 255),
    CHECK (length("scopes") <= 255)
)
 WITHOUT ROWID;

CREATE TABLE approvals (
    request_id BINARY(16) NOT NULL,
    at DATETIME NOT NULL,
    "check" SMALLINT NOT NULL,
    attempt SMALLINT NOT NULL,
    PRIMARY KEY (request_id)
)
 WITHOUT ROWID;

CREATE TABLE attempts (
    request_id BINARY(16) NOT NULL,
    attempt SMALLINT NOT NULL,
    at DATETIME NOT NULL,
    provider VARCHAR(64) NOT NULL,
    cause VARCHAR(64) NOT NULL,
    phone_hash VARCHAR(64) NOT NULL,
    PRIMARY KEY (request_id, attempt),
    CHECK (length("provider") <= 64),
    CHECK (length("cause") <= 64),
    CHECK (length("phone_hash") <= 64)
)
 WITHOUT ROWID;

CREATE INDEX attempts_sends ON attempts (phone_hash, at);

CREATE TABLE checks (
    request_id BINARY(16) NOT NULL,
    "check" SMALLINT NOT NULL,
    at DATETIME NOT NULL,
    attempt SMALLINT NOT NULL,
    result VARCHAR(64) NOT NULL,
    source VARCHAR(64) NOT NULL,
    PRIMARY KEY (request_id, "check"),
    CHECK (length("result") <= 64),
    CHECK (length("source") <= 64)
)
 WITHOUT ROWID;

CREATE TABLE encrypted_numbers (
    request_id BINARY(16) NOT NULL,
    at DATETIME NOT NULL,
    key_id VARCHAR(64) NOT NULL,
    ciphertext BLOB NOT NULL,
    PRIMARY KEY (request_id),
    CHECK (length("key_id") <= 64)
);

CREATE TABLE idempotency_answers (
    app VARCHAR(64) NOT NULL,
    idempotency_key VARCHAR(255) NOT NULL,
    at DATETIME NOT NULL,
    status SMALLINT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (app, idempotency_key),
    CHECK (length("app") <= 64),
    CHECK (length("idempotency_key") <= 255)
);

CREATE INDEX idempotency_answers_at ON idempotency_answers (at);

CREATE TABLE idempotency_claims (
    app VARCHAR(64) NOT NULL,
    idempotency_key VARCHAR(255) NOT NULL,
    at DATETIME NOT NULL,
    fingerprint VARCHAR(128) NOT NULL,
    request_id BINARY(16) NOT NULL,
    PRIMARY KEY (app, idempotency_key),
    CHECK (length("app") <= 64),
    CHECK (length("idempotency_key") <= 255),
    CHECK (length("fingerprint") <= 128)
)
 WITHOUT ROWID;

CREATE INDEX idempotency_claims_at ON idempotency_claims (at);

CREATE TABLE inbound (
    provider VARCHAR(64) NOT NULL,
    message_hash VARCHAR(64) NOT NULL,
    phone_hash VARCHAR(64) NOT NULL,
    at DATETIME NOT NULL,
    keyword VARCHAR(64) NOT NULL,
    PRIMARY KEY (provider, message_hash),
    CHECK (length("provider") <= 64),
    CHECK (length("message_hash") <= 64),
    CHECK (length("phone_hash") <= 64),
    CHECK (length("keyword") <= 64)
)
 WITHOUT ROWID;

CREATE INDEX inbound_at ON inbound (at);

CREATE TABLE opt_outs (
    phone_hash VARCHAR(64) NOT NULL,
    message_hash VARCHAR(64) NOT NULL,
    at DATETIME NOT NULL,
    keyword VARCHAR(64) NOT NULL,
    PRIMARY KEY (phone_hash, message_hash),
    CHECK (length("phone_hash") <= 64),
    CHECK (length("message_hash") <= 64),
    CHECK (length("keyword") <= 64)
)
 WITHOUT ROWID;

CREATE TABLE outcomes (
    request_id BINARY(16) NOT NULL,
    attempt SMALLINT NOT NULL,
    at DATETIME NOT NULL,
    outcome VARCHAR(64) NOT NULL,
    error_class VARCHAR(64) NOT NULL,
    error_code VARCHAR(64) NOT NULL,
    provider_reference VARCHAR(128) NOT NULL,
    latency_ms INTEGER NOT NULL,
    segments SMALLINT NOT NULL,
    PRIMARY KEY (request_id, attempt),
    CHECK (length("outcome") <= 64),
    CHECK (length("error_class") <= 64),
    CHECK (length("error_code") <= 64),
    CHECK (length("provider_reference") <= 128)
)
 WITHOUT ROWID;

CREATE TABLE probes (
    instance BINARY(16) NOT NULL,
    at DATETIME NOT NULL,
    PRIMARY KEY (instance)
);

CREATE TABLE receipts (
    request_id BINARY(16) NOT NULL,
    attempt SMALLINT NOT NULL,
    stage VARCHAR(128) NOT NULL,
    at DATETIME NOT NULL,
    provider VARCHAR(64) NOT NULL,
    status VARCHAR(64) NOT NULL,
    error_class VARCHAR(64) NOT NULL,
    raw_status VARCHAR(64) NOT NULL,
    raw_code VARCHAR(64) NOT NULL,
    carrier VARCHAR(64) NOT NULL,
    provider_at DATETIME,
    PRIMARY KEY (request_id, attempt, stage),
    CHECK (length("stage") <= 128),
    CHECK (length("provider") <= 64),
    CHECK (length("status") <= 64),
    CHECK (length("error_class") <= 64),
    CHECK (length("raw_status") <= 64),
    CHECK (length("raw_code") <= 64),
    CHECK (length("carrier") <= 64)
)
 WITHOUT ROWID;

CREATE TABLE requests (
    id BINARY(16) NOT NULL,
    at DATETIME NOT NULL,
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
    expires_at DATETIME,
    PRIMARY KEY (id),
    CHECK (length("kind") <= 64),
    CHECK (length("category") <= 64),
    CHECK (length("app") <= 64),
    CHECK (length("purpose") <= 64),
    CHECK (length("template") <= 64),
    CHECK (length("locale") <= 35),
    CHECK (length("phone_hash") <= 64),
    CHECK (length("country") <= 8),
    CHECK (length("region") <= 64),
    CHECK (length("carrier") <= 64)
)
 WITHOUT ROWID;

CREATE INDEX requests_living ON requests (phone_hash, purpose, expires_at);

CREATE TABLE schema_version (
    version INTEGER NOT NULL,
    at DATETIME NOT NULL,
    PRIMARY KEY (version)
);

INSERT INTO schema_version (version, at) VALUES (1, '2026-03-01 12:00:00.000000');
