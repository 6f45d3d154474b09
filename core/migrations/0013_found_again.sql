-- Owns what the migrations before it left out: rows that were there before the filter over recipients was (0007) get it
-- too, in the background; and the kinds of words that were added to `operator_words` (0011).

ALTER TABLE send_events MATERIALIZE INDEX by_phone;

ALTER TABLE operator_words COMMENT COLUMN kind 'silence, maintenance, comment, withdrawn, retry or retried';
