package database

import (
	"math"
	"slices"
	"strconv"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

const (
	// maxRanges limits the ranges of one statement, because SQLite parses no expression deeper
	// than 1000.
	maxRanges = 100
	// rangeLength is how many ids a range has at least, on average, to be
	// cheaper than a list.
	rangeLength = 8
)

// inRanges matches the rows with one of the ids in the column, for a deletion.
// Consecutive numbers, as in a backlog, are matched by ranges. When measured,
// PostgreSQL deleted 1000 rows by a range in a third of the time of a list, and
// SQLite in half of the CPU time.
//
// Don't use it for MySQL, which also locks the row behind a range.
func inRanges(drv dialect.Driver, table Table, ids []any) *sql.Predicate {
	column := table.IDColumn
	ranges, ok := rangesOf(ids)
	if !ok || !table.Counted || len(ranges) > maxRanges || len(ranges)*rangeLength > len(ids) {
		return In(drv, column, table.Counted, ids)
	}
	bound := func(n int64) any { return n }
	if takesLiterals(drv) {
		bound = func(n int64) any { return sql.Raw(strconv.FormatInt(n, 10)) }
	}
	predicates := make([]*sql.Predicate, len(ranges))
	for i, r := range ranges {
		predicates[i] = sql.P(func(b *sql.Builder) {
			b.Ident(column).WriteString(" BETWEEN ").Arg(bound(r.first)).WriteString(" AND ").Arg(bound(r.last))
		})
	}
	return sql.Or(predicates...)
}

// idRange is all whole numbers from the first to the last.
type idRange struct{ first, last int64 }

// rangesOf returns the ranges that the ids form, lowest first. It returns false if
// an id isn't a whole number.
func rangesOf(ids []any) ([]idRange, bool) {
	numbers := make([]int64, len(ids))
	for i, id := range ids {
		n, ok := wholeNumber(id)
		if !ok {
			return nil, false
		}
		numbers[i] = n
	}
	slices.Sort(numbers)
	var ranges []idRange
	for _, n := range numbers {
		if last := len(ranges) - 1; last >= 0 && (n == ranges[last].last || n-1 == ranges[last].last) {
			ranges[last].last = n
			continue
		}
		ranges = append(ranges, idRange{n, n})
	}
	return ranges, true
}

// wholeNumber returns the number that an id is stored as. It returns false if an
// unsigned number is too large.
func wholeNumber(id any) (int64, bool) {
	switch v, ok := integer(id); {
	case !ok:
		return 0, false
	case v.CanInt():
		return v.Int(), true
	default:
		return int64(v.Uint()), v.Uint() <= math.MaxInt64
	}
}
