package rabbitmq

import (
	"sync"

	"github.com/entsignal/signalbus/entsignal"
)

// remembered bounds how many failing messages a consumer remembers.
const remembered = 10_000

// memory remembers how often the handler has failed for a message, because a classic
// queue doesn't count.
type memory struct {
	mu     sync.Mutex
	counts map[entsignal.MessageKey]failure
	ring   []entsignal.MessageKey // those in counts, and some that are forgotten
	at     int                    // what in ring is replaced next
}

type failure struct {
	failed int
	away   int // because of entsignal.Unavailable
}

func (m *memory) of(k entsignal.MessageKey) failure {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.counts[k]
}

// add counts a failure. A message without an id can't be told from another one.
func (m *memory) add(k entsignal.MessageKey, more failure) {
	if k.ID == "" {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.counts == nil {
		m.counts = make(map[entsignal.MessageKey]failure)
	}
	was, known := m.counts[k]
	if !known {
		m.place(k)
	}
	m.counts[k] = failure{was.failed + more.failed, was.away + more.away}
}

// place notes a new key, in the place of the oldest one if there are too many.
func (m *memory) place(k entsignal.MessageKey) {
	if len(m.ring) < remembered {
		m.ring = append(m.ring, k)
		return
	}
	delete(m.counts, m.ring[m.at])
	m.ring[m.at] = k
	m.at = (m.at + 1) % remembered
}

func (m *memory) forget(k entsignal.MessageKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.counts, k)
}
