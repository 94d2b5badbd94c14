package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/bisect"
	"github.com/entsignal/signalbus/internal/database"
)

// A badRow is a row that can't be decoded.
type badRow struct {
	at  int // its index among the rows that were checked
	err error
}

// findUndecodable finds the rows that can't be decoded, by reading the rows in
// halves. With first it stops at the first such row. It returns an error only if
// the error isn't about a row.
//
// It takes at most half of the time that ctx has left, so that there is time to
// send or record what it finds. Rows for which there was no time are returned as
// bad, but not as undecodable.
func (t *signalType) findUndecodable(ctx context.Context, drv dialect.Driver, ids []any, first bool) (bad []badRow, _ error) {
	var until time.Time
	if deadline, ok := ctx.Deadline(); ok {
		until = time.Now().Add(time.Until(deadline) / 2)
	}
	left := []bisect.Span{{From: 0, To: len(ids)}}
	var named []any
	for len(left) > 0 && (!first || len(bad) == 0) {
		last := len(left) - 1
		if !first {
			// If time is short, each healthy row has a chance.
			i := rand.IntN(len(left))
			left[i], left[last] = left[last], left[i]
		}
		part := left[last]
		left = left[:last]
		if !until.IsZero() && time.Now().After(until) {
			for i := part.From; i < part.To; i++ {
				bad = append(bad, badRow{i, errNoTimeToDecode})
			}
			continue
		}
		_, err := t.Load(ctx, drv, t.Columns().Listed(drv, ids[part.From:part.To]))
		switch {
		case err == nil:
		case !isUndecodable(err):
			return nil, err
		case part.Len() == 1:
			bad = append(bad, badRow{part.From, entsignal.Permanent(err)})
			named = append(named, ids[part.From])
		default:
			half := part.From + part.Len()/2
			left = append(left, bisect.Span{From: half, To: part.To}, bisect.Span{From: part.From, To: half})
		}
	}
	slices.SortFunc(bad, func(a, b badRow) int { return cmp.Compare(a.at, b.at) })
	if len(named) == 0 {
		return bad, nil
	}
	// A lost connection may look like a row that can't be decoded.
	_, err := t.IDs(ctx, drv, t.Columns().Listed(drv, named))
	return bad, err
}

var errNoTimeToDecode = fmt.Errorf("%w: no time was left after looking for rows that can't be decoded", entsignal.ErrNotTried)

// discardable returns the ids of the matching rows that can't be decoded or, with
// mixin.Retry, have failed.
func (t *signalType) discardable(ctx context.Context, drv dialect.Driver, match func(*sql.Selector)) (ids []any, _ error) {
	rows, err := t.States(ctx, drv, match)
	if err != nil {
		return nil, err
	}
	var others []any
	for _, row := range rows {
		if row.Retry.HasFailed() {
			ids = append(ids, row.ID)
		} else {
			others = append(others, row.ID)
		}
	}
	if len(others) == 0 {
		return ids, nil
	}
	bad, err := t.findUndecodable(ctx, drv, others, false)
	if err != nil && database.IsOfServer(err) {
		return nil, err
	} // any other error doesn't mean that a row can't be decoded
	for _, b := range bad {
		if errors.As(b.err, new(*entsignal.DecodeError)) {
			ids = append(ids, others[b.at])
		}
	}
	return ids, nil
}

// isUndecodable reports whether err is only about rows that can't be decoded.
func isUndecodable(err error) bool {
	if all, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // the walk itself
		for _, err := range all.Unwrap() {
			if !isUndecodable(err) && !errors.As(err, new(*database.NotNotedError)) {
				return false
			}
		}
		return true
	}
	return errors.As(err, new(*entsignal.DecodeError))
}
