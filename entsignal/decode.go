package entsignal

import (
	"cmp"
	"context"
	stdsql "database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"sync/atomic"
	"time"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	"github.com/entsignal/signalbus/internal/database"
	"github.com/entsignal/signalbus/internal/foreign"
)

// DecodeError is the error of a signal whose row can't be made an entity:
// another version of the program, or another program, has written something
// else than the schema says, or has changed the table. It may also be about a
// row that is loaded with the signal. It is marked as [Permanent]; the other
// signals are sent. Once the row or the program is mended the signal can be
// retried, and with [Bus.Discard] it can be deleted, also without mixin.Retry.
type DecodeError struct {
	Err error // what ent or the driver says
}

// scannedValue finds the value in an error of database/sql, which is a part of the
// message.
var scannedValue = regexp.MustCompile(`(converting driver\.Value type \S+) \("(?:[^"\\]|\\.)*"\)`)

func (e *DecodeError) Error() string {
	return "the row can't be decoded: " + scannedValue.ReplaceAllString(e.Err.Error(), "$1")
}

// Unwrap returns the cause.
func (e *DecodeError) Unwrap() error { return e.Err }

// load returns the rows that match as entities, with what is loaded with them,
// and their ids. The error is a [*DecodeError] if it is about some of the rows, and
// not about the database, the end of ctx, an interceptor or a query that was built.
func (s *signal[C, T, ID, Q]) load(ctx context.Context, drv dialect.Driver, match func(*sql.Selector)) (rows []T, ids []any, err error) {
	w := &decoding{Driver: drv}
	rows, err = foreign.Call(func() ([]T, error) {
		q := s.Model.Query(s.config, w, func(sel *sql.Selector) {
			match(sel)
			if s.Retry != nil {
				selectTimes(sel)
			}
		})
		for _, with := range []func(Q){s.Children, s.With} {
			if with != nil {
				with(q)
			}
		}
		return q.All(allowed(ctx))
	})
	switch {
	case err == nil:
	case w.failed.Load() && ctx.Err() == nil && !database.IsOfServer(err):
		return nil, nil, &DecodeError{err}
	default:
		return nil, nil, err
	}
	ids = make([]any, len(rows))
	for i, row := range rows {
		if ids[i], err = s.storedIDOf(row); err != nil {
			return nil, nil, &DecodeError{err}
		}
	}
	return rows, ids, nil
}

// A badRow is a row that can't be decoded.
type badRow struct {
	at  int // its place among those that were looked at
	err error
}

// undecodable finds those of the rows that can't be decoded, by reading them in
// halves; it stops at the first one if asked to. The error is one that is about
// no row.
//
// It takes no more than half of the time that ctx has left, so that what is
// found can be sent, or noted; rows that it had no time for count as bad, but
// not as undecodable.
func (s *signal[C, T, ID, Q]) undecodable(ctx context.Context, drv dialect.Driver, ids []any, first bool) (bad []badRow, _ error) {
	var until time.Time
	if deadline, ok := ctx.Deadline(); ok {
		until = time.Now().Add(time.Until(deadline) / 2)
	}
	left := []span{{0, len(ids)}}
	var named []any
	for len(left) > 0 && (!first || len(bad) == 0) {
		last := len(left) - 1
		if !first {
			// If the time is short each healthy row has its chance.
			i := rand.IntN(len(left))
			left[i], left[last] = left[last], left[i]
		}
		part := left[last]
		left = left[:last]
		if !until.IsZero() && time.Now().After(until) {
			for i := part.from; i < part.to; i++ {
				bad = append(bad, badRow{i, errNoTimeToDecode})
			}
			continue
		}
		_, _, err := s.load(ctx, drv, s.columns().listed(drv, ids[part.from:part.to]))
		switch {
		case err == nil:
		case !isUndecodable(err):
			return nil, err
		case part.len() == 1:
			bad = append(bad, badRow{part.from, Permanent(err)})
			named = append(named, ids[part.from])
		default:
			half := part.from + part.len()/2
			left = append(left, span{half, part.to}, span{part.from, half})
		}
	}
	slices.SortFunc(bad, func(a, b badRow) int { return cmp.Compare(a.at, b.at) })
	if len(named) == 0 {
		return bad, nil
	}
	// A connection that was lost might look like it.
	_, err := s.ids(ctx, drv, s.columns().listed(drv, named))
	return bad, err
}

var errNoTimeToDecode = fmt.Errorf("%w: beside rows that can't be decoded there was no time for it", ErrNotTried)

func (s *signal[C, T, ID, Q]) discardable(ctx context.Context, drv dialect.Driver, match func(*sql.Selector)) (ids []any, _ error) {
	rows, err := s.states(ctx, drv, match)
	if err != nil {
		return nil, err
	}
	var others []any
	for _, row := range rows {
		if row.retry.hasFailed() {
			ids = append(ids, row.id)
		} else {
			others = append(others, row.id)
		}
	}
	if len(others) == 0 {
		return ids, nil
	}
	bad, err := s.undecodable(ctx, drv, others, false)
	if err != nil && database.IsOfServer(err) {
		return nil, err
	} // any other error says of no row that it can't be decoded
	for _, b := range bad {
		if errors.As(b.err, new(*DecodeError)) {
			ids = append(ids, others[b.at])
		}
	}
	return ids, nil
}

// isUndecodable reports whether err is about rows that can't be decoded, and
// about nothing else.
func isUndecodable(err error) bool {
	if all, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // the walk itself
		for _, err := range all.Unwrap() {
			if !isUndecodable(err) && !errors.As(err, new(*database.NotNotedError)) {
				return false
			}
		}
		return true
	}
	return errors.As(err, new(*DecodeError))
}

// decoding is a driver that notes when ent fails to decode what a query has
// returned: it leaves the result in the middle, or the driver ends it there.
type decoding struct {
	dialect.Driver
	failed atomic.Bool
}

// Query implements [dialect.ExecQuerier].
func (d *decoding) Query(ctx context.Context, query string, args, v any) error {
	if err := d.Driver.Query(ctx, query, args, v); err != nil {
		return err
	}
	if rows, ok := v.(*sql.Rows); ok {
		rows.ColumnScanner = &decodingRows{ColumnScanner: rows.ColumnScanner, of: d}
	}
	return nil
}

// decodingRows is the result of one query.
type decodingRows struct {
	sql.ColumnScanner
	of     *decoding
	inside bool // there is a row, and its successor was not asked for
}

// Next implements [sql.ColumnScanner].
func (r *decodingRows) Next() bool {
	r.inside = r.ColumnScanner.Next()
	if !r.inside && r.Err() != nil {
		r.of.failed.Store(true)
	}
	return r.inside
}

// Scan implements [sql.ColumnScanner].
func (r *decodingRows) Scan(dest ...any) error { return scanGuarded(r.ColumnScanner, dest) }

// Close implements [sql.ColumnScanner].
func (r *decodingRows) Close() error {
	if r.inside {
		r.of.failed.Store(true)
	}
	r.inside = false
	return r.ColumnScanner.Close()
}

// scanGuarded scans a row. A Scan method that panics inside of database/sql leaves
// a lock behind, for which closing the rows would wait for ever.
func scanGuarded(rows sql.ColumnScanner, dest []any) error {
	guarded := false
	for i, d := range dest {
		switch d.(type) {
		case *stdsql.NullInt64, *stdsql.NullString, *stdsql.NullBool, *stdsql.NullFloat64, *stdsql.NullTime:
			continue
		}
		if s, ok := d.(stdsql.Scanner); ok {
			if !guarded { // dest is the caller's
				dest, guarded = slices.Clone(dest), true
			}
			dest[i] = guardedScanner{s}
		}
	}
	return rows.Scan(dest...)
}

type guardedScanner struct{ of stdsql.Scanner }

// Scan implements [stdsql.Scanner].
func (s guardedScanner) Scan(v any) error {
	_, err := foreign.Call(func() (struct{}, error) { return struct{}{}, s.of.Scan(v) })
	return err
}
