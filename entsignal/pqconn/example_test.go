package pqconn_test

import (
	"fmt"
	"time"

	"github.com/entsignal/signalbus/entsignal/pqconn"
)

// The pool is an ordinary *sql.DB, which connects when it is first used. Give it
// to ent with entsql.OpenDB(dialect.Postgres, db).
func ExampleOpen() {
	db, err := pqconn.Open("postgres://shop:secret@localhost/shop?sslmode=disable",
		pqconn.WithTimeout(20*time.Second), // the longest statement
		pqconn.WithStatementCache(100),     // not behind PgBouncer
	)
	if err != nil {
		panic(err)
	}
	defer db.Close()
	db.SetConnMaxLifetime(5 * time.Minute)
	fmt.Println("open connections:", db.Stats().OpenConnections)
	// Output:
	// open connections: 0
}

// An unusable DSN is an error at once, and the error never shows the password.
func ExampleOpen_unusable() {
	_, err := pqconn.Open("postgres://shop:secret@localhost:not-a-port/shop")
	fmt.Println(err)
	// Output:
	// pqconn: the DSN can't be parsed; want postgres://user:password@host:port/database?sslmode=verify-full with special characters percent-encoded, or user=… password=… host=… dbname=…
}
