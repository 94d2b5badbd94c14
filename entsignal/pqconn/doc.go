// Package pqconn connects to PostgreSQL by lib/pq so that a dead network can't
// stop a program.
//
// lib/pq can't end a query by its context when the network swallows packets:
// it asks the server to cancel and then waits for the answer of the query,
// which never comes. A QueryContext of one second then blocks until the
// kernel gives up, minutes later. The connections of this package set a
// deadline on the socket before each read and each write, so that every call
// ends.
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
// A pool would keep a connection to a server that takes no writes anymore, and
// fail by it again and again. When a server refuses a statement for that reason
// (SQLSTATE 25006, or 0A000 when a transaction begins), and the transaction isn't
// read-only by wish of the program, the pool drops that connection and all that
// are older than the refusal. The statement fails; the next one goes to where the
// address leads by then. With several hosts in the DSN, target_session_attrs
// finds the one that takes writes.
//
// # The deadline bounds the longest statement
//
// While a statement runs the server sends nothing, so a statement or a lock
// wait that takes longer than [WithTimeout] fails with a network timeout, and
// the connection is dropped. Such a statement may have taken effect, as with
// any lost connection. Set the timeout above the longest statement, and
// PostgreSQL's statement_timeout below it: then the server ends a slow
// statement first, with an error that says so.
//
// Connections that lie idle in the pool don't read and are not affected.
package pqconn
