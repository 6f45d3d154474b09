-- Owns the kind of word that was added to `operator_words` (0011) when deployments could be noted.

ALTER TABLE operator_words COMMENT COLUMN kind
    'silence, maintenance, comment, deployment, withdrawn; retry, retried; resend, resending, resent, not-resent';

ALTER TABLE operator_words COMMENT COLUMN start 'of a silence or a maintenance window: from when it holds; of a deployment: when it was';
