package database

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// A Refusal is a row that the database refuses to delete. It must not be sent,
// because it would be sent again and again.
type Refusal struct {
	ID  any
	Err error
	// Own means that the error is about this row, and not about the table or the
	// server.
	Own bool
}

// errKept is the error of a deletion that succeeded but left the row.
var errKept = errors.New("the row is still there; does a trigger or a rule keep it?")

// errAtCommit is the error of a deletion that succeeded but would fail at the
// commit.
var errAtCommit = errors.New("FOREIGN KEY constraint, which is checked at the commit, would fail")

// maxRefusals is how many deletions may fail before one succeeds. After that the
// cause is assumed not to be single rows.
const maxRefusals = 32

// isRefusal reports whether a deletion may have failed because of the content of a
// row.
func isRefusal(ctx context.Context, err error) bool {
	return err != nil && ctx.Err() == nil && !IsSerializationFailure(err) && !IsUnavailable(err)
}

// isOwn reports whether err can only be about a row.
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
	switch number, _ := mysqlNumber(err); number {
	case 1048, 1062, 1216, 1217, 1451, 1452, 1644, 3819, 4025: // constraints, and SIGNAL of a trigger
		return true
	default:
		return false
	}
}

// isImpatience reports whether the server ended a statement that took, or waited for a
// lock, longer than a setting allows. Then the row is not at fault, but whoever holds it, or
// what the database would delete with it.
func isImpatience(err error) bool {
	switch sqlState(err) {
	case "55P03", "57014":
		return true
	}
	switch number, _ := mysqlNumber(err); number {
	case 1205, 1969, 3024: // of locks, and of statements on MariaDB and on MySQL
		return true
	default:
		return false
	}
}

// partSavepoint is the savepoint within that of the claim.
const partSavepoint = "SAVEPOINT entsignal_part"

// refusals finds the rows at fault after deleting all rows failed with err. It
// leaves the transaction in the state before that deletion.
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

// without returns the ids that are not refused. For an ordered claim it returns
// only those before the first refused one.
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

// findRefusals finds the rows at fault after deleting all rows failed with err. The
// ids are halved until the rows at fault are alone. For an ordered claim the search
// goes from the head to the first row at fault. try deletes some rows. It returns
// why the database refuses that, or an error after which nothing else can be tried.
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
				left = append(left, halves...) // the largest first: they show early whether anything can be deleted
			}
		}
		if failed++; failed == maxRefusals && !some && !ordered {
			return nil, err
		}
	}
	if len(refused) == 0 { // each part can be deleted, but not all together
		return nil, err
	}
	for i := range refused {
		refused[i].Own = refused[i].Own || some && !isImpatience(refused[i].Err)
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

// allWent returns an error unless all rows were deleted. A row that can't be
// deleted would be sent for ever.
func allWent(n, want int) error {
	if n != want {
		return fmt.Errorf("delete: %d of %d rows went: %w", n, want, errKept)
	}
	return nil
}
