package signalcli

import (
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/entsignal/signalbus/cmd/internal/cli"
	"github.com/entsignal/signalbus/internal/backoff"
	"github.com/entsignal/signalbus/internal/view"
)

const (
	// summaryEvery is how often a repeated flush logs what it did, so that the log shows that
	// it is alive even if nothing else happens.
	summaryEvery = time.Minute
)

// loop runs the flush once, or with --repeat until the stopper stops it.
func (f *flusher) loop(screen *screen) result {
	if f.repeat.d == 0 {
		return f.try(screen)
	}
	var (
		stopping = f.stopper.stopping
		health   = health{}
		summary  = summary{since: time.Now()}
		last     result // of the last run that wasn't just interrupted
		sent     int
	)
	signals := any("all")
	if len(f.selected.names) > 0 {
		signals = f.selected.names
	}
	f.log.Info("flushing repeatedly", "mode", f.mode.String(), "signals", signals, "every", f.repeat.d.String())
	for failed := 0; stopping.Err() == nil; {
		begin := time.Now()
		r := f.try(screen)
		sent += r.Sent
		if usage := (*cli.UsageError)(nil); errors.As(r.Err, &usage) {
			return r
		}
		if stopping.Err() != nil && r.Sent == 0 && r.ok() {
			break // it was stopped before it did anything
		}
		last = r
		f.report(&health, r)
		summary.add(f.log, r)
		pause := f.repeat.d - time.Since(begin)
		if r.ok() {
			failed = 0
		} else {
			pause = max(pause, failurePauses().Pause(failed))
			failed++
		}
		backoff.Wait(stopping, pause, nil)
	}
	last.Sent = sent
	if last.Failed == nil {
		last.Failed = []view.Failure{}
	}
	return last
}

// report logs a change between working and failing, so that a broker that is down
// for an hour is one line and not thousands.
func (f *flusher) report(h *health, r result) {
	since, changed := h.change(r)
	switch {
	case !changed:
	case r.ok():
		f.log.Info("flush works again", "failed_for", time.Since(since).Round(time.Millisecond).String())
	default:
		args := []any{"signals", r.failing(), "error", r.Error}
		if r.Err == nil {
			args[3] = r.Failed[0].Error
		}
		f.log.Error("flush failed; will keep retrying", args...)
	}
}

// summary counts what the runs of a repeated flush did since its last log line.
type summary struct {
	since        time.Time
	runs, failed int
	sent         int
}

// add counts a run, and logs the summary when it is due.
func (s *summary) add(log *slog.Logger, r result) {
	s.runs++
	s.sent += r.Sent
	if !r.ok() {
		s.failed++
	}
	period := time.Since(s.since)
	if period < summaryEvery {
		return
	}
	log.Info("summary", "sent", s.sent, "runs", s.runs, "failed_runs", s.failed, "period", period.Round(time.Second).String())
	*s = summary{since: time.Now()}
}

// health is the state of a repeated flush: what fails, and since when. It starts
// with nothing failing.
type health struct {
	failing []string // names of signal types; "" for a failure of no single type
	since   time.Time
}

// change processes the result of a run. It reports whether the state has changed,
// and since when something had been failing.
func (h *health) change(r result) (since time.Time, changed bool) {
	failing := r.failing()
	if r.Err != nil {
		failing = append(failing, "")
	}
	slices.Sort(failing)
	if slices.Equal(failing, h.failing) {
		return h.since, false
	}
	if len(h.failing) == 0 {
		h.since = time.Now()
	}
	h.failing = failing
	return h.since, true
}

// failurePauses are the pauses after failed runs with --repeat. The jitter prevents processes that
// failed together from coming back together.
func failurePauses() backoff.Doubling {
	return backoff.Doubling{Min: 500 * time.Millisecond, Max: 30 * time.Second, Jitter: 0.5}
}
