package database

import (
	"math"
	"strings"
)

// none is below every id.
const none = math.MinInt64

// History knows up to which id a table is complete: no row with that id or a
// lower one can be committed anymore. It learns that from one look at the
// sequence of the ids after the other. The zero value has seen nothing. It is
// for one goroutine at a time.
//
// What it rests on, in PostgreSQL: a transaction locks the sequence before it
// draws its first id, and holds the lock to its end. So of the ids up to the
// value that a look has read, each belongs to a transaction that the look
// lists as well, or that had ended by then, if the value is read before the
// locks are listed. With the locks listed first, 27 of 14,157 rows overtook a
// lower id.
type History struct {
	source string
	last   int64            // the sequence's value at the last look
	bounds map[string]int64 // by transaction: all its ids are higher
}

// see takes the next look: where it was taken, the sequence's value, and the
// transactions that held its lock after that. It returns up to which id the
// table is complete.
func (m *History) see(source string, value int64, open []string) (low int64) {
	// On another server, or when the sequence was set back, what was seen
	// before proves nothing.
	if source != m.source || value < m.last {
		*m = History{source: source, last: none}
	}
	oldest := m.last
	for _, bound := range m.bounds {
		oldest = min(oldest, bound)
	}
	low = value
	bounds := make(map[string]int64, len(open))
	for _, tx := range open {
		bound, known := m.bounds[tx]
		switch {
		case known:
		case strings.HasPrefix(tx, "-1/"):
			// A prepared transaction gets such a name when the server comes
			// back from a crash, and may have been any of those before.
			bound = oldest
		default:
			// It wasn't there at the last look, so it drew later.
			bound = m.last
		}
		bounds[tx] = bound
		low = min(low, bound)
	}
	m.last, m.bounds = value, bounds
	return low
}

// below returns the transactions that may have an id up to id.
func (m *History) below(id int64) (open []string) {
	for tx, bound := range m.bounds {
		if bound < id {
			open = append(open, tx)
		}
	}
	return open
}
