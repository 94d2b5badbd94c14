package database

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestHistoryWaitsForWhoMayHaveDrawnBefore(t *testing.T) {
	var m History
	assert.EqualValues(t, int64(none), m.see("a", 5, []string{"1/1", "2/1"}), "nobody knows what they had drawn before")
	assert.EqualValues(t, int64(none), m.see("a", 7, []string{"2/1"}))
	assert.EqualValues(t, 7, m.see("a", 9, []string{"3/1"}), "it wasn't there when 7 was read")
	assert.EqualValues(t, 7, m.see("a", 20, []string{"3/1", "4/1"}), "it keeps its bound")
	assert.ElementsMatch(t, []string{"3/1", "4/1"}, m.below(21))
	assert.Equal(t, []string{"3/1"}, m.below(9))
	assert.EqualValues(t, 9, m.see("a", 30, []string{"4/1"}))
	assert.EqualValues(t, 30, m.see("a", 30, nil))
}

func TestHistoryOfAnEmptySequence(t *testing.T) {
	var m History
	assert.EqualValues(t, int64(none), m.see("a", none, nil))
	assert.EqualValues(t, int64(none), m.see("a", 3, []string{"1/1"}))
	assert.EqualValues(t, 4, m.see("a", 4, nil))
}

func TestHistoryForgetsWhatAnotherServerOrASetBackSequenceMadeVoid(t *testing.T) {
	var m History
	m.see("a", 50, nil)
	assert.EqualValues(t, int64(none), m.see("b", 60, []string{"1/1"}), "another server")
	m.see("b", 70, nil)
	assert.EqualValues(t, int64(none), m.see("b", 69, []string{"2/1"}), "a sequence that went back")
	m.see("b", 69, nil)
	assert.EqualValues(t, 69, m.see("b", 80, []string{"3/1"}))
}

func TestMarksTakeAPreparedTransactionWithANewNameForAnyOfTheOld(t *testing.T) {
	var m History
	m.see("a", 10, nil)
	m.see("a", 20, []string{"1/1"}) // above 10
	m.see("a", 30, []string{"1/1", "2/1"})
	assert.EqualValues(t, 10, m.see("a", 40, []string{"-1/700"}))
	assert.EqualValues(t, 10, m.see("a", 50, []string{"-1/700", "3/1"}))
	assert.EqualValues(t, 40, m.see("a", 60, []string{"3/1"}))
}

// server is a model of what PostgreSQL does with a sequence: a transaction
// that draws is listed from before its first id until it is over, and its rows
// are visible then.
type server struct {
	rand    *rand.Rand
	value   int64
	started int
	open    map[string][]int64
	visible []int64
}

// step lets one transaction begin, draw, commit or roll back.
func (s *server) step() {
	var names []string
	for name := range s.open {
		names = append(names, name)
	}
	slices.Sort(names)
	switch what := s.rand.IntN(10); {
	case len(names) == 0 || what < 2 && len(names) < 12:
		s.started++
		s.draw(fmt.Sprintf("%d/%d", s.rand.IntN(4), s.started))
	case what < 6:
		s.draw(names[s.rand.IntN(len(names))])
	default:
		name := names[s.rand.IntN(len(names))]
		if what < 9 {
			s.visible = append(s.visible, s.open[name]...)
		}
		delete(s.open, name)
	}
}

func (s *server) draw(name string) {
	s.value++
	s.open[name] = append(s.open[name], s.value)
}

func (s *server) lockers() (names []string) {
	for name := range s.open {
		names = append(names, name)
	}
	return names
}

// run lets a flush look and send again and again while writers work between
// any two of its steps. It returns how many rows were sent after a higher id.
func run(seed uint64, see func(m *History, s *server, pass func()) int64) (sent, inversions int) {
	s := &server{rand: rand.New(rand.NewPCG(seed, 1)), open: make(map[string][]int64)}
	pass := func() {
		for range s.rand.IntN(4) {
			s.step()
		}
	}
	for range 50 { // before the first look
		s.step()
	}
	var (
		m       History
		highest int64
	)
	for range 2000 {
		low := see(&m, s, pass)
		pass()
		slices.Sort(s.visible)
		for len(s.visible) > 0 && s.visible[0] <= low {
			if s.visible[0] < highest {
				inversions++
			}
			highest = max(highest, s.visible[0])
			s.visible = s.visible[1:]
			sent++
		}
		pass()
	}
	return sent, inversions
}

// Each of the mutants lets a row overtake a lower id, so the model would tell.
func TestMarksKeepTheOrderAndTheirMutantsDoNot(t *testing.T) {
	total := func(see func(m *History, s *server, pass func()) int64) (sent, inversions int) {
		for seed := range uint64(20) {
			n, wrong := run(seed, see)
			sent, inversions = sent+n, inversions+wrong
		}
		return sent, inversions
	}
	sent, inversions := total(func(m *History, s *server, pass func()) int64 {
		value := s.value
		pass()
		return m.see("a", value, s.lockers())
	})
	assert.Zero(t, inversions)
	assert.Greater(t, sent, 10000)

	for name, mutant := range map[string]func(m *History, s *server, pass func()) int64{
		"the locks are read before the value": func(m *History, s *server, pass func()) int64 {
			open := s.lockers()
			pass()
			return m.see("a", s.value, open)
		},
		"what is listed first counts as new": func(m *History, s *server, pass func()) int64 {
			value := s.value
			pass()
			if m.source == "" {
				*m = History{source: "a", last: value}
			}
			return m.see("a", value, s.lockers())
		},
		"who is new is above the value of this look": func(m *History, s *server, pass func()) int64 {
			value := s.value
			pass()
			m.last = value
			return m.see("a", value, s.lockers())
		},
		"no locks at all": func(m *History, s *server, pass func()) int64 {
			return m.see("a", s.value, nil)
		},
	} {
		_, inversions := total(mutant)
		assert.Positive(t, inversions, name)
	}
}
