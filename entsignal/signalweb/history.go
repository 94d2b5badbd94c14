package signalweb

import (
	"context"
	"time"

	"sync"

	"github.com/entsignal/signalbus/entsignal"
)

const (
	historyMinutes = 60
	// nowSlots of nowSlot each are what "now" means.
	nowSlot  = time.Second
	nowSlots = 10
)

// history is what this process has seen of each signal type in the last hour. It has
// the types of the bus and no others, and takes a few kilobytes for each.
type history struct {
	clock func() time.Time
	mu    sync.Mutex // guards what types lead to
	types map[string]*past
}

// past is the history of one type.
type past struct {
	minutes [historyMinutes + 1]slot // a ring; the minute that runs, and the hour before it
	recent  [nowSlots + 1]slot       // the same by seconds
	lastOK  time.Time                // when one was sent
	paused  trouble
	failing trouble
}

// slot counts what happened in some time.
type slot struct {
	number       int64 // of the time since 1970, in its units
	sent, failed int
}

// trouble is an error and since when it is there; the zero value is none.
type trouble struct {
	since time.Time
	err   error
}

func newHistory(infos []entsignal.Info, clock func() time.Time) *history {
	h := &history{clock: clock, types: make(map[string]*past, len(infos))}
	for _, info := range infos {
		h.types[info.Name] = &past{}
	}
	return h
}

// Observe implements [entsignal.Observer].
func (h *history) Observe(_ context.Context, e entsignal.Event) {
	now := h.clock()
	h.mu.Lock()
	defer h.mu.Unlock()
	switch e := e.(type) {
	case entsignal.Sent:
		h.note(e.Signal, func(p *past) {
			p.count(now, e.Count, 0)
			p.lastOK = now
			if e.Mode == entsignal.ModeAutoFlush || e.Mode == entsignal.ModeSend { // of the others Flushed tells
				p.failing = trouble{}
			}
		})
	case entsignal.Failed:
		h.note(e.Signal, func(p *past) {
			p.count(now, 0, max(e.Count, 1))
			p.fails(now, e.Err)
		})
	case entsignal.Flushed:
		h.note(e.Signal, func(p *past) {
			if e.Err == nil {
				p.failing = trouble{}
			} else {
				p.fails(now, e.Err)
			}
		})
	case entsignal.Paused:
		h.note(e.Signal, func(p *past) { p.paused = trouble{now, e.Err} })
	case entsignal.Resumed:
		h.note(e.Signal, func(p *past) { p.paused = trouble{} })
	}
}

func (h *history) note(name string, how func(*past)) {
	if p, ok := h.types[name]; ok {
		how(p)
	}
}

func (p *past) fails(now time.Time, err error) {
	if p.failing.since.IsZero() {
		p.failing.since = now
	}
	p.failing.err = err
}

func (p *past) count(now time.Time, sent, failed int) {
	add(p.minutes[:], now.Unix()/60, sent, failed)
	add(p.recent[:], now.UnixNano()/int64(nowSlot), sent, failed)
}

func add(ring []slot, number int64, sent, failed int) {
	s := &ring[number%int64(len(ring))]
	if s.number != number {
		*s = slot{number: number}
	}
	s.sent += sent
	s.failed += failed
}

// seen is what a reader gets of a past.
type seen struct {
	sentNow, failedNow   float64 // per second
	sent, failed         []int   // by minute, the oldest first
	sentHour, failedHour int
	lastOK               time.Time
	paused, failing      trouble
}

// get returns what was seen of a type.
func (h *history) get(name string) (s seen) {
	now := h.clock()
	h.mu.Lock()
	defer h.mu.Unlock()
	p, ok := h.types[name]
	if !ok {
		return s
	}
	s.sent, s.failed = make([]int, historyMinutes), make([]int, historyMinutes)
	last := now.Unix() / 60
	for i := range historyMinutes {
		number := last - historyMinutes + 1 + int64(i)
		if m := p.minutes[number%int64(len(p.minutes))]; m.number == number {
			s.sent[i], s.failed[i] = m.sent, m.failed
			s.sentHour += m.sent
			s.failedHour += m.failed
		}
	}
	last = now.UnixNano() / int64(nowSlot)
	for number := last - nowSlots; number < last; number++ { // but for the second that runs
		if r := p.recent[number%int64(len(p.recent))]; r.number == number {
			s.sentNow += float64(r.sent) / (nowSlots * nowSlot.Seconds())
			s.failedNow += float64(r.failed) / (nowSlots * nowSlot.Seconds())
		}
	}
	s.lastOK, s.paused, s.failing = p.lastOK, p.paused, p.failing
	return s
}
