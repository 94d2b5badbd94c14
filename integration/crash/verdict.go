package crash

import (
	"fmt"
	"slices"
	"strings"
)

// evidence is what a run leaves behind.
type evidence struct {
	mode     Mode
	ledger   []string // the entries that were committed
	received []message
	reports  []report
	killed   map[int]bool // the processes that were killed
	sessions int          // how many sessions of the database were ended
	left     int          // rows that nobody sent
}

// Verdict is what the evidence proves.
type Verdict struct {
	Committed int
	Lost      int // committed and never received
	Phantom   int // received and never committed
	Repeats   int // received again
	// Unexplained are the repeats that no fault explains.
	Unexplained int
	// First arrivals behind a later one: of their key, of all ids.
	KeyInversions, IDInversions int
	Failed                      int // calls that ended with an error
	Left                        int // rows that are still there

	mode     Mode
	examples []string
}

// maxExamples bounds the examples of what is wrong.
const maxExamples = 5

func (v *Verdict) example(format string, args ...any) {
	if len(v.examples) < maxExamples {
		v.examples = append(v.examples, fmt.Sprintf(format, args...))
	}
}

// judge compares what was received with what was committed.
func judge(e evidence) Verdict {
	v := Verdict{mode: e.mode, Committed: len(e.ledger), Left: e.left}
	arrivals := make(map[string][]message, len(e.ledger))
	for _, m := range e.received {
		arrivals[m.Entry] = append(arrivals[m.Entry], m)
	}
	committed := make(map[string]bool, len(e.ledger))
	for _, entry := range e.ledger {
		committed[entry] = true
		if len(arrivals[entry]) == 0 {
			v.Lost++
			v.example("lost: entry %s", entry)
		}
	}
	calls := newOutcomes(e)
	silent := make(map[batchID]bool)
	for entry, all := range arrivals {
		if !committed[entry] {
			v.Phantom++
			v.example("phantom: entry %s in batch %v", entry, all[0].Batch)
		}
		v.Repeats += len(all) - 1
		if len(all) == 1 {
			continue
		}
		// One batch has sent the row and deleted it; each other one had to
		// fail.
		deleted := 0
		for _, m := range slices.Backward(all) {
			switch calls.of(m) {
			case deletedRows:
				deleted++
			case unknown:
				if deleted > 0 {
					silent[m.Batch] = true
				} else {
					deleted++
				}
			}
		}
		if deleted > 1 {
			v.Unexplained += deleted - 1
			v.example("repeat without a fault: entry %s, %s", entry, calls.tell(all))
		}
	}
	// Each session that was ended explains one batch.
	if len(silent) > e.sessions {
		v.Unexplained += len(silent) - e.sessions
		v.example("%d batches left their rows in silence, but only %d sessions were ended", len(silent), e.sessions)
	}
	for _, r := range e.reports {
		if r.Error != "" {
			v.Failed++
		}
	}
	v.countInversions(e.received)
	return v
}

// countInversions looks at first arrivals only: a repeat may be old.
func (v *Verdict) countInversions(received []message) {
	lastN, lastID := make(map[int]int), 0
	seen := make(map[string]bool, len(received))
	for _, m := range received {
		if seen[m.Entry] {
			continue
		}
		seen[m.Entry] = true
		if m.N < lastN[m.Key] {
			v.KeyInversions++
			if v.mode.ordersKeys {
				v.example("key %d: number %d behind %d", m.Key, m.N, lastN[m.Key])
			}
		}
		if m.ID < lastID {
			v.IDInversions++
			if v.mode.ordersIDs {
				v.example("id %d behind %d", m.ID, lastID)
			}
		}
		lastN[m.Key], lastID = max(lastN[m.Key], m.N), max(lastID, m.ID)
	}
}

// Violations returns what breaks the promises of the library, faults or not.
func (v Verdict) Violations() (all []string) {
	add := func(count int, promised bool, what string) {
		if count > 0 && promised {
			all = append(all, fmt.Sprintf("%d %s", count, what))
		}
	}
	add(v.Lost, true, "lost")
	add(v.Phantom, true, "phantom")
	add(v.Unexplained, true, "repeats that no fault explains")
	add(v.KeyInversions, v.mode.ordersKeys, "out of the order of their key")
	add(v.IDInversions, v.mode.ordersIDs, "out of the order of ids")
	add(v.Left, true, "rows left")
	if len(all) > 0 {
		all = append(all, v.examples...)
	}
	return all
}

// outcome is what is known of a row in a batch.
type outcome int

const (
	deletedRows outcome = iota // its call ended well
	leftRows                   // its call failed, its sender did, or it was killed
	// unknown is a batch before those that a killed process had in hand, in a
	// call that didn't end. It has deleted its rows, unless its session was
	// ended: that would have been told at the end of the call.
	unknown
)

// outcomes tells how batches have ended.
type outcomes struct {
	mode    Mode
	errors  map[callID]string // empty: the call ended well
	refused map[refusal]bool
	killed  map[int]bool
	last    map[int]int // the last batch of a process that was seen
}

// refusal is a row that a batch didn't send.
type refusal struct {
	batch batchID
	entry string
}

func newOutcomes(e evidence) outcomes {
	o := outcomes{e.mode, make(map[callID]string, len(e.reports)), make(map[refusal]bool), e.killed, make(map[int]int)}
	for _, r := range e.reports {
		switch {
		case r.State == refused:
			for _, entry := range r.Entries {
				o.refused[refusal{r.batchID, entry}] = true
			}
		case o.errors[r.callID] == "": // of several, an error counts
			o.errors[r.callID] = r.Error
		}
	}
	for _, m := range e.received {
		o.last[m.Batch.Process] = max(o.last[m.Batch.Process], m.Batch.Batch)
	}
	return o
}

func (o outcomes) of(m message) outcome {
	err, ended := o.errors[m.Batch.callID]
	switch process := m.Batch.Process; {
	case err != "", o.refused[refusal{m.Batch, m.Entry}]:
		return leftRows
	case ended, !o.killed[process]:
		return deletedRows
	case m.Batch.Batch > o.last[process]-o.mode.inHand:
		return leftRows
	default:
		return unknown
	}
}

func (o outcomes) tell(all []message) string {
	texts := make([]string, len(all))
	for i, m := range all {
		err, ended := o.errors[m.Batch.callID]
		how := "never ended"
		switch {
		case err != "":
			how = "failed: " + err
		case o.refused[refusal{m.Batch, m.Entry}]:
			how = "refused"
		case ended:
			how = "ended well"
		case o.killed[m.Batch.Process]:
			how = fmt.Sprintf("killed, last batch %d", o.last[m.Batch.Process])
		}
		texts[i] = fmt.Sprintf("batch %v (%s)", m.Batch, how)
	}
	return strings.Join(texts, " and ")
}
