package database

import (
	"context"
	stdsql "database/sql"
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

// emptyQuery asks of each table whether there is a row, in the direction of its key: after a flush,
// the index knows of what is gone, and the table doesn't.
func emptyQuery(drv dialect.Driver, tables []Table) string {
	b := &sql.Builder{}
	b.SetDialect(drv.Dialect())
	b.WriteString("SELECT ")
	for i, t := range tables {
		if i > 0 {
			b.Comma()
		}
		b.WriteString("(SELECT 1 FROM ")
		writeTable(b, t.Schema, t.Name)
		b.WriteString(" ORDER BY ").Ident(t.IDColumn).WriteString(" DESC LIMIT 1)")
	}
	return b.String()
}

// writeTable writes the name of a table.
func writeTable(b *sql.Builder, schema, name string) {
	if schema != "" {
		b.Ident(schema).WriteByte('.')
	}
	b.Ident(name)
}

// empty reports which tables have no rows.
func empty(ctx context.Context, drv dialect.Driver, tables []Table) ([]bool, error) {
	found := make([]stdsql.NullInt64, len(tables))
	dest := make([]any, len(tables))
	for i := range found {
		dest[i] = &found[i]
	}
	if err := query(ctx, drv, emptyQuery(drv, tables), nil, func(rows *sql.Rows) error { return rows.Scan(dest...) }); err != nil {
		return nil, err
	}
	none := make([]bool, len(tables))
	for i, one := range found {
		none[i] = !one.Valid
	}
	return none, nil
}

// Empty implements [Dialect].
func (l *locking) Empty(ctx context.Context, drv dialect.Driver, tables []Table) (none []bool, _ error) {
	err := l.Read(ctx, drv, func(drv dialect.Driver) (err error) {
		none, err = empty(ctx, drv, tables)
		return err
	})
	return none, err
}

// Empty implements [Dialect].
func (s *sqlite) Empty(ctx context.Context, drv dialect.Driver, tables []Table) ([]bool, error) {
	return empty(ctx, drv, tables)
}
