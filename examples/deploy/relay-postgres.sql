-- The PostgreSQL role of a process that only flushes, here of the service
-- orders: it sends and deletes signals, and can't write one. Run it as the
-- owner of the tables, in their database; then give the role a password, by
-- \password relay in psql. Without one it can't log in.

CREATE ROLE relay LOGIN;
GRANT CONNECT ON DATABASE shop TO relay;
GRANT USAGE ON SCHEMA public TO relay;

-- For each signal. UPDATE of one column is what a row lock asks for; the
-- column is the id, which no flush changes.
GRANT SELECT, DELETE, UPDATE (id) ON order_placeds TO relay;

-- For a signal whose ids come from a sequence: an ordered flush reads how far
-- it has got.
GRANT SELECT ON SEQUENCE order_placeds_id_seq TO relay;

-- To have an ordered flush that is held back tell for how long already.
-- GRANT pg_read_all_stats TO relay;

-- For a signal with mixin.Retry: the columns that say when to try again.
-- GRANT UPDATE (signal_attempts, signal_retry_at, signal_failed_at, signal_error) ON order_placeds TO relay;

-- For what a sender reads besides its signal: the edges that it loads, and the
-- children that go with the signal (OnDelete(Cascade)).
-- GRANT SELECT ON order_lines TO relay;
