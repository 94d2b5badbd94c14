// Package pqconn connects to PostgreSQL with lib/pq in a way that a dead network
// can't block a program.
//
// lib/pq can't end a query by its context if the network swallows packets. It asks
// the server to cancel and then waits for the answer of the query, which never
// comes. So a QueryContext with a timeout of one second blocks until the kernel
// gives up, minutes later. The connections of this package set a deadline on the
// socket before each read and each write, so that every call ends.
//
//	db, err := pqconn.Open(os.Getenv("DATABASE_URL"))
//	if err != nil {
//		return err
//	}
//	client := ent.NewClient(ent.Driver(entsql.OpenDB(dialect.Postgres, db)))
//
// With [WithStatementCache] they also keep statements prepared.
//
// # Failover
//
// After a failover, a pool would normally keep its connections to a server that no
// longer accepts writes, and fail with them again and again. Connections of this
// package don't. If a server rejects a statement for that reason (SQLSTATE 25006,
// or 0A000 when a transaction begins), and the program didn't ask for a read-only
// transaction, the pool drops this connection and all that were opened before the
// rejection. The statement fails. The next one uses a new connection to wherever
// the address leads then. With several hosts in the DSN, target_session_attrs finds
// the one that accepts writes.
//
// # The deadline limits the longest statement
//
// The server sends nothing while a statement runs. So a statement or a lock wait
// that takes longer than [WithTimeout] fails with a network timeout, and the
// connection is dropped. As with any lost connection, the statement may have taken
// effect. Set the timeout above the longest statement, and PostgreSQL's
// statement_timeout below it. Then the server ends a slow statement first, with an
// error that names the reason.
//
// Idle connections in the pool don't read, so the deadline doesn't affect them.
package pqconn
