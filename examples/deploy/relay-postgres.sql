-- The PostgreSQL role of a process that only flushes, here of the service orders:
-- it can read and delete signals, but not insert one. Run this as the owner of the
-- tables, in their database. Then give the role a password, with
-- \password relay in psql. Without a password it can't log in.

CREATE ROLE relay LOGIN;
GRANT CONNECT ON DATABASE shop TO relay;
GRANT USAGE ON SCHEMA public TO relay;

-- For each signal. A row lock needs the right to UPDATE a column; here it is the
-- id, which no flush changes.
GRANT SELECT, DELETE, UPDATE (id) ON order_placeds TO relay;

-- For a signal whose ids come from a sequence: an ordered flush reads its current
-- value.
GRANT SELECT ON SEQUENCE order_placeds_id_seq TO relay;

-- So that the error of a held-back ordered flush says for how long the blocking
-- session has been open.
-- GRANT pg_read_all_stats TO relay;

-- For a signal with mixin.Retry: the columns that say when to try again.
-- GRANT UPDATE (signal_attempts, signal_retry_at, signal_failed_at, signal_error) ON order_placeds TO relay;

-- For what a sender reads besides its signal: the edges that it loads, and the
-- children that go with the signal (OnDelete(Cascade)).
-- GRANT SELECT ON order_lines TO relay;
