package signalcli

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/backoff"
)

const (
	// pollEvery is how often a bar asks how much is pending. Counting a large
	// table takes its time; a poll that took long makes the next one wait
	// longer too, so that a flush isn't held up by its own bar.
	pollEvery = 2 * time.Second
	// pollTimeout limits one poll. If it fails, the bar stays where it is.
	pollTimeout = 5 * time.Second
	// pollShare limits the time of polls to 1/pollShare of the whole time.
	pollShare = 10
)

// screen is a standard error on which logs and a progress bar share a terminal.
type screen struct {
	w     io.Writer
	bars  bool
	width int // columns; 0: unknown

	mu  sync.Mutex // guards the writer and bar
	bar *progressbar.ProgressBar
}

// newScreen returns a screen that shows progress bars if bars is true. Its width
// is 0 if it is unknown.
func newScreen(w io.Writer, bars bool, width int) *screen {
	return &screen{w: w, bars: bars, width: width}
}

const (
	// wideScreen is the width at which a complete bar fits on one line.
	wideScreen = 100
	// narrowText is the largest number of columns for text in a bar without speed and time.
	narrowText = 40
	maxBar     = 30 // columns of the bar itself
)

// layout returns how a bar is drawn so that it fits on one line: a line that
// wraps can't be drawn over, and would fill the screen.
func (s *screen) layout() []progressbar.Option {
	if s.width == 0 || s.width >= wideScreen {
		return []progressbar.Option{
			progressbar.OptionSetWidth(maxBar),
			progressbar.OptionShowIts(),
			progressbar.OptionSetItsString("signals"),
			progressbar.OptionSetPredictTime(true),
		}
	}
	return []progressbar.Option{
		progressbar.OptionSetWidth(max(0, min(maxBar, s.width-narrowText))),
		progressbar.OptionSetPredictTime(false),
		progressbar.OptionSetElapsedTime(false),
	}
}

// Write writes a line of the log, above the bar if there is one.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bar != nil {
		_ = s.bar.Clear()
		defer func() { _ = s.bar.RenderBlank() }()
	}
	return s.w.Write(p)
}

// progress is the bar of one flush. It may be nil.
type progress struct {
	screen *screen
	count  func(context.Context) (int, error)
	total  int
	stop   context.CancelFunc
	done   chan struct{}
}

// follow shows the progress of a flush that begins now. It counts only signals that
// may be sent, so neither waiting nor dead ones. Until the flush ends, signals that
// are recorded meanwhile count as not sent, and signals that other processes send
// count as sent.
func (s *screen) follow(ctx context.Context, bus *entsignal.Bus, selected selection) *progress {
	if !s.bars {
		return nil
	}
	return s.start(ctx, func(ctx context.Context) (int, error) {
		counts, err := bus.Pending(ctx, selected.options()...)
		sum := 0
		for _, c := range counts {
			sum += c.Due()
		}
		return sum, err
	})
}

// start shows a bar that follows count, which returns what is left.
func (s *screen) start(ctx context.Context, count func(context.Context) (int, error)) *progress {
	ctx, stop := context.WithCancel(ctx)
	p := &progress{screen: s, count: count, stop: stop, done: make(chan struct{})}
	if n, _, err := p.poll(ctx); err == nil {
		p.total = n
	}
	if p.total > 0 { // otherwise the total is unknown or there is nothing to do
		s.mu.Lock()
		s.bar = progressbar.NewOptions(p.total, append(s.layout(),
			progressbar.OptionSetWriter(s.w),
			progressbar.OptionSetDescription("sending"),
			progressbar.OptionShowCount(),
		)...)
		_ = s.bar.RenderBlank()
		s.mu.Unlock()
	}
	go p.run(ctx)
	return p
}

// poll counts once, and tells how long that took.
func (p *progress) poll(ctx context.Context) (left int, took time.Duration, _ error) {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	left, err := p.count(ctx)
	return left, time.Since(begin), err
}

func (p *progress) run(ctx context.Context) {
	defer close(p.done)
	if p.total <= 0 {
		return
	}
	for pause := pollEvery; ; {
		backoff.Wait(ctx, pause, nil)
		if ctx.Err() != nil {
			return
		}
		left, took, err := p.poll(ctx)
		if err == nil {
			p.set(p.total - left)
		}
		pause = max(pollEvery, pollShare*took)
	}
}

// set moves the bar forward, but never back.
func (p *progress) set(n int) {
	p.screen.mu.Lock()
	defer p.screen.mu.Unlock()
	if n > int(p.screen.bar.State().CurrentNum) {
		_ = p.screen.bar.Set(min(n, p.total))
	}
}

// end shows how many signals the flush has sent and leaves the bar on the screen.
func (p *progress) end(sent int) {
	if p == nil {
		return
	}
	p.stop()
	<-p.done
	s := p.screen
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bar == nil {
		return
	}
	_ = s.bar.Set(min(sent, p.total))
	s.bar = nil
	_, _ = io.WriteString(s.w, "\n")
}
