// Package pair proves examples/pair: two banks, each of two processes and with a database
// of its own, send each other money while processes are killed, connections are cut and
// the broker is restarted. At the end each transfer must be applied exactly once, and the
// sums must agree. The books are read by SQL, so that nothing of the library judges it.
package pair
