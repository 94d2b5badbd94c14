// Package crash kills processes that write and flush, the database sessions
// and the broker connections under them, and compares what was committed with
// what a consumer received.
//
// Writers update keys. One transaction adds to a key, records a signal for the
// update, and writes a line into a ledger; one of ten rolls back. Flushers
// send the signals, or the commits of the writers do. Both are processes, so
// that SIGKILL ends them wherever they are. The ledger, which nobody deletes
// from, is the truth afterwards: also of a writer that was killed inside of
// its COMMIT.
//
//	signal in the ledger, not received   lost
//	received, not in the ledger          phantom
//	received again                       a repeat: a fault must explain it
//
// Every batch carries the number of its process, worker, call and batch, and
// each call that ends says how. A call that ended well has deleted what it
// sent, so what it sent must not come from another; a call that failed, or the
// batch that a killed process had in hand, may have left its rows.
package crash
