-- Owns the kinds of words that were added to `operator_words` (0011) when reports could be sent again: each wish of an
-- operator is a row, and so is each thing that became of it.

ALTER TABLE operator_words COMMENT COLUMN kind
    'silence, maintenance, comment, withdrawn; retry, retried; resend, resending, resent, not-resent';

ALTER TABLE operator_words COMMENT COLUMN refers_to 'of a withdrawal: the word that no longer holds; else the wish it answers';

ALTER TABLE operator_words COMMENT COLUMN text 'of a wish: what is to be tried or sent again';
