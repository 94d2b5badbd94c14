package main

import (
	"context"
	"database/sql"

	"entgo.io/ent/dialect"
)

// plainCommit is the floor of the autoflush: transactions that write one
// business row and one signal by plain SQL, and send nothing.
func plainCommit(ctx context.Context, j job, m *meter) error {
	db, err := pool(j)
	if err != nil {
		return err
	}
	defer db.Close()
	write := writePostgres
	if j.Database == dialect.MySQL {
		write = writeMariaDB
	}
	body := makeBody(j.Size)
	return commits(ctx, j, m, func(ctx context.Context) error {
		return inTx(ctx, db, func(tx *sql.Tx) error { return write(ctx, tx, body) })
	})
}

func inTx(ctx context.Context, db *sql.DB, fn func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	if err := fn(tx); err != nil {
		return err
	}
	return tx.Commit()
}

const (
	insertOrder = "INSERT INTO orders (customer) VALUES ($1) RETURNING id"
	insertEvent = "INSERT INTO events (order_id, payload) VALUES ($1, $2)"
)

func writePostgres(ctx context.Context, tx *sql.Tx, body []byte) error {
	var order int
	if err := tx.QueryRowContext(ctx, insertOrder, customer).Scan(&order); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, insertEvent, order, body)
	return err
}

func writeMariaDB(ctx context.Context, tx *sql.Tx, body []byte) error {
	done, err := tx.ExecContext(ctx, "INSERT INTO orders (customer) VALUES (?)", customer)
	if err != nil {
		return err
	}
	id, err := done.LastInsertId()
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO events (order_id, payload) VALUES (?, ?)", id, body)
	return err
}
