package database

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// A Refusal is a row that the database refuses to delete: nothing may be sent
// for it, because it would be sent again and again.
type Refusal struct {
	ID  any
	Err error
	// Own says that the error is about this very row, and not about the table
	// or the server.
	Own bool
}

// errKept is the error of a deletion that succeeded and left the row.
var errKept = errors.New("the row is still there; does a trigger or a rule keep it?")

// errAtCommit is the error of a deletion that succeeded, and that the commit would
// undo.
var errAtCommit = errors.New("FOREIGN KEY constraint, which is checked at the commit, would fail")

// maxRefusals is how many deletions may fail, before one succeeds, until it
// is not about single rows.
const maxRefusals = 32

// isRefusal reports whether a deletion failed for what may be in a row.
func isRefusal(ctx context.Context, err error) bool {
	return err != nil && ctx.Err() == nil && !IsSerializationFailure(err) && !IsUnavailable(err)
}

// isOwn reports whether err can be about nothing but a row.
func isOwn(err error) bool {
	if errors.Is(err, errKept) || errors.Is(err, errAtCommit) {
		return true
	}
	if code, ok := sqliteCode(err); ok {
		return code&0xff == 19 // SQLITE_CONSTRAINT, and RAISE of a trigger
	}
	if state := sqlState(err); state != "" {
		return strings.HasPrefix(state, "23") || strings.HasPrefix(state, "P0")
	}
	switch number, _ := errorField(err, "mysql", "MySQLError", "Number"); number {
	case 1048, 1062, 1216, 1217, 1451, 1452, 1644, 3819, 4025: // constraints, and SIGNAL of a trigger
		return true
	default:
		return false
	}
}

// partSavepoint is the savepoint within that of the claim.
const partSavepoint = "SAVEPOINT entsignal_part"

// refusals finds the rows at fault after the deletion of all failed with err. It
// leaves the transaction as it was before that.
func (l *locking) refusals(ctx context.Context, t *tx, c Claim, ids []any, err error) ([]Refusal, error) {
	if len(ids) == 1 { // and there is no savepoint
		return findRefusals(ids, c.Ordered, err, nil)
	}
	if err := t.exec(ctx, "ROLLBACK TO "+savepoint); err != nil {
		return nil, err
	}
	refused, err := findRefusals(ids, c.Ordered, err, func(ids []any) (refusal, fatal error) {
		return l.try(ctx, t, c.Table, ids)
	})
	if err != nil {
		return nil, err
	}
	return refused, t.exec(ctx, "ROLLBACK TO "+savepoint)
}

// without returns the ids without those that are refused. Of an ordered claim it
// returns those before the first of them.
func without(ids []any, refused []Refusal, ordered bool) (left []any) {
	if len(refused) == 0 {
		return ids
	}
	gone := make(map[any]bool, len(refused))
	for _, r := range refused {
		gone[Comparable(r.ID)] = true
	}
	for _, id := range ids {
		switch {
		case !gone[Comparable(id)]:
			left = append(left, id)
		case ordered:
			return left
		}
	}
	return left
}

// findRefusals finds the rows at fault after the deletion of all failed with err.
// A single row is at fault alone; else the ids are halved until those at fault
// are alone. An ordered claim is halved from its head, and searched no further
// than up to the first of them. try deletes some; it returns why the database
// refuses that, or an error after which nothing else can be tried.
func findRefusals(ids []any, ordered bool, err error, try func(ids []any) (refusal, fatal error)) ([]Refusal, error) {
	if len(ids) == 1 {
		return []Refusal{{ids[0], err, isOwn(err)}}, nil
	}
	var (
		refused []Refusal
		some    bool // could be deleted
		failed  int
		left    = [][]any{ids[:len(ids)/2], ids[len(ids)/2:]}
	)
	for len(left) > 0 {
		part := left[0]
		left = left[1:]
		failure, fatal := try(part)
		switch {
		case fatal != nil:
			return nil, fatal
		case failure == nil:
			some = true
			continue
		case len(part) == 1:
			refused = append(refused, Refusal{part[0], failure, isOwn(failure)})
			if ordered {
				left = nil
			}
		default:
			halves := [][]any{part[:len(part)/2], part[len(part)/2:]}
			if ordered {
				left = append(halves, left...)
			} else {
				left = append(left, halves...) // the largest first: they show soon whether anything goes
			}
		}
		if failed++; failed == maxRefusals && !some && !ordered {
			return nil, err
		}
	}
	if len(refused) == 0 { // each part goes, and all together don't
		return nil, err
	}
	for i := range refused {
		refused[i].Own = refused[i].Own || some
	}
	return refused, nil
}

// try deletes some rows. It returns why the database refuses that, or an error
// after which nothing else can be tried.
func (l *locking) try(ctx context.Context, t *tx, table Table, ids []any) (refusal, fatal error) {
	if err := t.exec(ctx, partSavepoint); err != nil {
		return nil, err
	}
	err := l.delete(ctx, t, table, ids)
	if err != nil && !isRefusal(ctx, err) {
		return nil, err
	}
	if err != nil {
		fatal = t.exec(ctx, "ROLLBACK TO "+partSavepoint)
	}
	return err, fatal
}

// allWent returns an error unless all rows went. What can't be deleted would be
// sent for ever.
func allWent(n, want int) error {
	if n != want {
		return fmt.Errorf("delete: %d of %d rows went: %w", n, want, errKept)
	}
	return nil
}
