-- The MariaDB or MySQL user of a process that only flushes, here of the service
-- orders: it can read and delete signals, but not insert one. The user is locked
-- until it has a password: ALTER USER relay IDENTIFIED BY '...' ACCOUNT UNLOCK

CREATE USER relay ACCOUNT LOCK;

-- For each signal.
GRANT SELECT, DELETE ON shop.order_placeds TO relay;

-- For a signal with mixin.Retry: the columns that say when to try again.
-- GRANT UPDATE (signal_attempts, signal_retry_at, signal_failed_at, signal_error) ON shop.order_placeds TO relay;

-- For rows that a sender reads besides its signal: the edges that it loads, and
-- the children that are deleted with the signal (OnDelete(Cascade)).
-- GRANT SELECT ON shop.order_lines TO relay;
