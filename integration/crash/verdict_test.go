package crash

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A harness that finds nothing proves nothing.

func batchOf(process, call, batch int) batchID {
	return batchID{callID{Process: process, Call: call}, batch}
}

func wellEnded(process, call int) report { return report{batchID: batchOf(process, call, 0)} }

func TestJudgeFindsWhatIsWrong(t *testing.T) {
	a, b := message{ID: 1, Entry: "a", Key: 1, N: 1, Batch: batchOf(1, 1, 1)}, message{ID: 2, Entry: "b", Key: 1, N: 2, Batch: batchOf(1, 1, 2)}
	by := func(m message, batch batchID) message { m.Batch = batch; return m }
	failed := wellEnded(1, 1)
	failed.Error = "connection lost"
	ordered, _ := modeOf("flushordered by key")
	strict := ordered
	strict.ordersIDs = true
	one, two := Mode{inHand: 1}, Mode{inHand: 2}
	both := []string{"a", "b"}
	for name, c := range map[string]struct {
		evidence evidence
		repeats  int
		want     string // the first violation; empty: there is none
	}{
		"all is well":     {evidence{ledger: both, received: []message{a, b}, reports: []report{wellEnded(1, 1)}}, 0, ""},
		"lost":            {evidence{ledger: both, received: []message{a}}, 0, "1 lost"},
		"phantom":         {evidence{ledger: both[:1], received: []message{a, b}}, 0, "1 phantom"},
		"a row is left":   {evidence{ledger: both, received: []message{a, b}, left: 1}, 0, "1 rows left"},
		"repeat in a row": {evidence{ledger: both, received: []message{a, a, b}, reports: []report{wellEnded(1, 1)}}, 1, "1 repeats that no fault explains"},
		"two calls that ended well": {
			evidence{ledger: both, received: []message{a, b, by(a, batchOf(2, 1, 1))}, reports: []report{wellEnded(1, 1), wellEnded(2, 1)}},
			1, "1 repeats that no fault explains",
		},
		"a call that failed explains it": {
			evidence{ledger: both, received: []message{a, b, by(a, batchOf(2, 1, 1))}, reports: []report{failed, wellEnded(2, 1)}},
			1, "",
		},
		"a call that never ended doesn't, in a process that lives": {
			evidence{ledger: both, received: []message{a, b, by(b, batchOf(2, 1, 1))}, reports: []report{wellEnded(2, 1)}},
			1, "1 repeats that no fault explains",
		},
		"the batch in hand of a killed process explains it": {
			evidence{mode: one, ledger: both, received: []message{a, b, by(b, batchOf(2, 1, 1))}, reports: []report{wellEnded(2, 1)}, killed: map[int]bool{1: true}},
			1, "",
		},
		"the batches before it don't": {
			evidence{mode: one, ledger: both, received: []message{a, b, by(a, batchOf(2, 1, 1))}, reports: []report{wellEnded(2, 1)}, killed: map[int]bool{1: true}},
			1, "1 repeats that no fault explains",
		},
		"unless the mode has several in hand": {
			evidence{mode: two, ledger: both, received: []message{a, b, by(a, batchOf(2, 1, 1))}, reports: []report{wellEnded(2, 1)}, killed: map[int]bool{1: true}},
			1, "",
		},
		"or a session was ended": {
			evidence{mode: one, ledger: both, received: []message{a, b, by(a, batchOf(2, 1, 1))}, reports: []report{wellEnded(2, 1)}, killed: map[int]bool{1: true}, sessions: 1},
			1, "",
		},
		"or the row was refused": {
			evidence{mode: one, ledger: both, received: []message{a, b, by(a, batchOf(2, 1, 1))}, reports: []report{wellEnded(2, 1), {batchID: a.Batch, State: refused, Entries: []string{"a"}}}, killed: map[int]bool{1: true}},
			1, "",
		},
		"another row of its batch that was refused doesn't": {
			evidence{ledger: both, received: []message{a, b, by(a, batchOf(2, 1, 1))}, reports: []report{wellEnded(1, 1), wellEnded(2, 1), {batchID: a.Batch, State: refused, Entries: []string{"b"}}}},
			1, "1 repeats that no fault explains",
		},
		"no order is promised":           {evidence{ledger: both, received: []message{b, a}}, 0, ""},
		"out of the order of the key":    {evidence{mode: ordered, ledger: both, received: []message{b, a}}, 0, "1 out of the order of their key"},
		"old repeats are not out of it":  {evidence{mode: ordered, ledger: both, received: []message{a, b, by(a, batchOf(2, 1, 1))}, reports: []report{failed}}, 1, ""},
		"keys are independent":           {evidence{mode: ordered, ledger: both, received: []message{{ID: 2, Entry: "b", Key: 2, N: 2}, a}}, 0, ""},
		"ids are not, where the mode is": {evidence{mode: strict, ledger: both, received: []message{{ID: 2, Entry: "b", Key: 2, N: 2}, a}}, 0, "1 out of the order of ids"},
	} {
		t.Run(name, func(t *testing.T) {
			v := judge(c.evidence)
			assert.Equal(t, c.repeats, v.Repeats)
			if c.want == "" {
				assert.Empty(t, v.Violations())
				return
			}
			require.NotEmpty(t, v.Violations())
			assert.Equal(t, c.want, v.Violations()[0])
		})
	}
}

func TestSeedGivesTheSameFaultsAgain(t *testing.T) {
	plan := func(s schedule) (plan []time.Duration) {
		for _, cause := range []string{"kills 0", "kills 1", "cuts"} {
			at := s.stream(cause)
			for range 100 {
				plan = append(plan, at.between(100*time.Millisecond, 400*time.Millisecond))
			}
		}
		return plan
	}
	first := plan(schedule{1, "postgres autoflush"})
	assert.Equal(t, first, plan(schedule{1, "postgres autoflush"}))
	assert.NotEqual(t, first, plan(schedule{2, "postgres autoflush"}))
	assert.NotEqual(t, first, plan(schedule{1, "mariadb autoflush"}))
	assert.NotEqual(t, first[:100], first[100:200], "causes have decisions of their own")
	for _, d := range first {
		assert.True(t, d >= 100*time.Millisecond && d <= 400*time.Millisecond, d)
	}
}
