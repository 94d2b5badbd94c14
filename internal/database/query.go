package database

import (
	"context"
	"errors"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

// Ping returns nil if the database answers.
func Ping(ctx context.Context, drv dialect.Driver) error {
	return query(ctx, drv, "SELECT 1", nil, func(*sql.Rows) error { return nil })
}

// query runs a query and calls scan for each row. On PostgreSQL, a query outside a
// transaction must have no arguments. With arguments lib/pq, and pgx by default,
// prepare the statement first, and a pooler that assigns connections per
// transaction may then run it on another connection, where it is unknown or belongs
// to another program.
func query(ctx context.Context, drv dialect.ExecQuerier, text string, args []any, scan func(*sql.Rows) error) error {
	if args == nil {
		args = []any{}
	}
	var rows sql.Rows
	if err := drv.Query(ctx, text, args, &rows); err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(&rows); err != nil {
			return err
		}
	}
	return errors.Join(rows.Err(), rows.Close())
}
