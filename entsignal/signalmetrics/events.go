package signalmetrics

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/telemetry"
)

// allModes are the modes by which signals are sent, and flushes those of a flush.
var (
	flushes  = []entsignal.Mode{entsignal.ModeFlush, entsignal.ModeFlushMany, entsignal.ModeFlushOrdered}
	allModes = append([]entsignal.Mode{entsignal.ModeAutoFlush, entsignal.ModeSend}, flushes...)
)

// events counts the events of a bus. Commits wait for Observe, so it takes no lock.
type events struct {
	types  []*signal // sorted by name
	byName map[string]*signal
}

// signal is what was counted of one type. Its maps are only read.
type signal struct {
	name     string
	recorded atomic.Int64
	sent     map[entsignal.Mode]*atomic.Int64
	failed   map[telemetry.ErrorType]*atomic.Int64
	paused   atomic.Bool
	lag      map[entsignal.Mode]*histogram
	send     map[entsignal.Mode]*histogram
	flush    map[entsignal.Mode]*histogram
	usual    []entsignal.Mode
}

// usualModes returns by which modes commits and Bus.Run send a type.
func usualModes(info entsignal.Info) (modes []entsignal.Mode) {
	ordered := len(info.OrderBy) > 0 || info.OrderKey != ""
	if info.AutoFlush {
		modes = append(modes, entsignal.ModeAutoFlush)
	}
	switch {
	case ordered:
		return append(modes, entsignal.ModeFlushOrdered)
	case info.AutoFlush:
		return append(modes, entsignal.ModeFlush, entsignal.ModeFlushMany)
	default:
		return append(modes, entsignal.ModeFlushMany)
	}
}

func newEvents(infos []entsignal.Info) *events {
	e := &events{byName: make(map[string]*signal)}
	for _, info := range infos {
		s := &signal{
			name:   info.Name,
			sent:   make(map[entsignal.Mode]*atomic.Int64),
			failed: make(map[telemetry.ErrorType]*atomic.Int64),
			lag:    newHistograms(allModes, telemetry.LongBuckets()),
			send:   newHistograms(allModes, telemetry.SendBuckets()),
			flush:  newHistograms(flushes, telemetry.LongBuckets()),
			usual:  usualModes(info),
		}
		for _, mode := range allModes {
			s.sent[mode] = new(atomic.Int64)
		}
		for _, t := range telemetry.ErrorTypes() {
			s.failed[t] = new(atomic.Int64)
		}
		e.types = append(e.types, s)
		e.byName[s.name] = s
	}
	return e
}

// Observe implements [entsignal.Observer].
func (e *events) Observe(_ context.Context, event entsignal.Event) {
	switch v := event.(type) {
	case entsignal.Recorded:
		e.byName[v.Signal].recorded.Add(int64(v.Count))
	case entsignal.Sent:
		s := e.byName[v.Signal]
		s.sent[v.Mode].Add(int64(v.Count))
		s.send[v.Mode].observe(v.Took)
		if v.Lag > 0 { // it is known
			s.lag[v.Mode].observe(v.Lag)
		}
	case entsignal.Failed:
		s := e.byName[v.Signal]
		telemetry.EachFailure(v, func(t telemetry.ErrorType, n int) { s.failed[t].Add(int64(n)) })
	case entsignal.Flushed:
		e.byName[v.Signal].flush[v.Mode].observe(v.Took)
	case entsignal.Paused:
		e.byName[v.Signal].paused.Store(true)
	case entsignal.Resumed:
		e.byName[v.Signal].paused.Store(false)
	}
}

// write writes all series.
func (e *events) write(t *text) {
	t.family("entsignal_recorded_total", counter, "Signals that this process created with ent and committed.")
	for _, s := range e.types {
		t.sample("entsignal_recorded_total", labels{{"signal", s.name}}, s.recorded.Load())
	}
	t.family("entsignal_sent_total", counter, "Messages that were confirmed by the broker and deleted from the database.")
	for _, s := range e.types {
		for _, mode := range allModes {
			t.sample("entsignal_sent_total", labels{{"signal", s.name}, {"mode", mode.String()}}, s.sent[mode].Load())
		}
	}
	t.family("entsignal_failed_total", counter, "Failed attempts to send a signal. A signal that is tried again counts again; a batch that could not be read counts as one.")
	for _, s := range e.types {
		for _, errorType := range telemetry.ErrorTypes() {
			t.sample("entsignal_failed_total", labels{{"signal", s.name}, {"error_type", string(errorType)}}, s.failed[errorType].Load())
		}
	}
	t.family("entsignal_paused", gauge, "1 while the broker or the database is unavailable for this process, else 0.")
	for _, s := range e.types {
		var paused int64
		if s.paused.Load() {
			paused = 1
		}
		t.sample("entsignal_paused", labels{{"signal", s.name}}, paused)
	}
	e.writeHistograms(t, "entsignal_lag_seconds", "Time from recording a signal to its deletion, for the oldest one of each batch. It takes mixin.Trace.",
		func(s *signal) map[entsignal.Mode]*histogram { return s.lag })
	e.writeHistograms(t, "entsignal_send_duration_seconds", "Time to read, send and delete a batch of which something was sent.",
		func(s *signal) map[entsignal.Mode]*histogram { return s.send })
	e.writeHistograms(t, "entsignal_flush_duration_seconds", "Time of a flush of a signal type, without its wait.",
		func(s *signal) map[entsignal.Mode]*histogram { return s.flush })
}

// writeHistograms writes those of the usual modes, and others that were used: each is a
// dozen series.
func (e *events) writeHistograms(t *text, name, help string, of func(*signal) map[entsignal.Mode]*histogram) {
	t.family(name, "histogram", help)
	for _, s := range e.types {
		for _, mode := range allModes {
			if h := of(s)[mode]; h != nil && (slices.Contains(s.usual, mode) || h.used()) {
				t.histogram(name, labels{{"signal", s.name}, {"mode", mode.String()}}, h)
			}
		}
	}
}

// histogram counts durations in buckets.
type histogram struct {
	bounds []time.Duration // the upper bounds, inclusive, of all buckets but the last
	counts []atomic.Int64
	sum    atomic.Int64 // in nanoseconds
}

func newHistograms(modes []entsignal.Mode, bounds []time.Duration) map[entsignal.Mode]*histogram {
	all := make(map[entsignal.Mode]*histogram)
	for _, mode := range modes {
		all[mode] = &histogram{bounds: bounds, counts: make([]atomic.Int64, len(bounds)+1)}
	}
	return all
}

func (h *histogram) observe(d time.Duration) {
	i, _ := slices.BinarySearch(h.bounds, d)
	h.counts[i].Add(1)
	h.sum.Add(int64(d))
}

func (h *histogram) used() bool {
	for i := range h.counts {
		if h.counts[i].Load() > 0 {
			return true
		}
	}
	return false
}
