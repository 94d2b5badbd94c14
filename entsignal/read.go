package entsignal

import (
	"context"
	stdsql "database/sql"
	"database/sql/driver"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	"github.com/entsignal/signalbus/internal/database"
	"github.com/entsignal/signalbus/internal/foreign"
)

// What the bus asks about rows it reads by the columns that it needs, so that
// a row that ent can't make an entity of is found, counted and discarded like
// any other.

// scanner reads the columns of one row.
type scanner func(dest ...any) error

// scan calls each with the columns of each row that matches, and what match
// selects behind them.
func (s *signal[C, T, ID, Q]) scan(ctx context.Context, drv dialect.Driver, match func(*sql.Selector), columns []string, each func(scanner) error) error {
	t := s.table()
	b := sql.Dialect(drv.Dialect())
	selector := b.Select().From(b.Table(t.Name).Schema(t.Schema))
	for _, column := range columns {
		selector.AppendSelect(selector.C(column))
	}
	match(selector)
	if err := selector.Err(); err != nil {
		return err
	}
	query, args := selector.Query()
	rows := &sql.Rows{}
	if err := drv.Query(ctx, query, args, rows); err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(func(dest ...any) error { return scanGuarded(rows, dest) }); err != nil {
			return err
		}
	}
	return rows.Err()
}

// scanID reads the id and the columns behind it. An id that isn't one of the
// type is taken as the database gives it.
func (s *signal[C, T, ID, Q]) scanID(drv dialect.Driver, scan scanner, more ...any) (any, error) {
	id, err := foreign.Call(func() (ID, error) {
		return s.codec.scan(func(dest any) error { return scan(append([]any{dest}, more...)...) })
	})
	if err == nil {
		if stored, err := s.codec.value(id); err == nil {
			return stored, nil
		}
	}
	var raw any
	err = scan(append([]any{&raw}, more...)...)
	if b, ok := raw.([]byte); ok && drv.Dialect() != dialect.SQLite {
		raw = string(b)
	}
	return raw, err
}

func (s *signal[C, T, ID, Q]) ids(ctx context.Context, drv dialect.Driver, match func(*sql.Selector)) (ids []any, _ error) {
	err := s.scan(ctx, drv, match, []string{s.IDColumn}, func(scan scanner) error {
		id, err := s.scanID(drv, scan)
		ids = append(ids, id)
		return err
	})
	return ids, err
}

func (s *signal[C, T, ID, Q]) keys(ctx context.Context, drv dialect.Driver, match func(*sql.Selector)) (ids, keys []any, _ error) {
	err := s.scan(ctx, drv, match, []string{s.IDColumn, s.KeyColumn}, func(scan scanner) error {
		var key any
		id, err := s.scanID(drv, scan, &key)
		ids, keys = append(ids, id), append(keys, comparableKey(drv, key))
		return err
	})
	return ids, keys, err
}

// rowState is what the bus knows of a row that it can't decode.
type rowState struct {
	id    any
	retry RetryState // zero without mixin.Retry
}

func (s *signal[C, T, ID, Q]) states(ctx context.Context, drv dialect.Driver, match func(*sql.Selector)) (all []rowState, _ error) {
	columns := []string{s.IDColumn}
	selected := match
	if s.Retry != nil {
		columns = append(columns, FieldAttempts, FieldError)
		selected = func(s *sql.Selector) {
			match(s)
			database.SelectTimes(s, FieldRetryAt, FieldFailedAt)
		}
	}
	err := s.scan(ctx, drv, selected, columns, func(scan scanner) (err error) {
		var (
			row               rowState
			attempts          stdsql.NullInt64
			text              stdsql.NullString
			retryAt, failedAt database.Time
			more              []any
		)
		if s.Retry != nil {
			more = []any{&attempts, &text, &retryAt, &failedAt}
		}
		if row.id, err = s.scanID(drv, scan, more...); err != nil {
			return err
		}
		row.retry = RetryState{Attempts: int(attempts.Int64), RetryAt: retryAt.At, FailedAt: failedAt.At}
		if text.Valid {
			row.retry.Error = &text.String
		}
		all = append(all, row)
		return nil
	})
	return all, err
}

// A blob is a value of SQLite that isn't equal to the text with the same bytes.
type blob string

// Value implements [driver.Valuer].
func (b blob) Value() (driver.Value, error) { return []byte(b), nil }

// comparableKey returns a key that was read, in a form that can be compared and
// be given back to the database.
func comparableKey(drv dialect.Driver, v any) any {
	bytes, ok := v.([]byte)
	switch {
	case !ok:
		return v
	case drv.Dialect() == dialect.SQLite:
		return blob(bytes)
	default:
		return string(bytes)
	}
}
