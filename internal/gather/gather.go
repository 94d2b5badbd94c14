// Package gather joins the autoflushes of one signal type into larger batches.
// While one batch is at the broker, the commits that arrive gather, and leave
// together as the next batch. It needs no timer, and a commit that is alone never
// waits.
//
//	Join ──nobody leads──▶ leads: Gather takes along who waits, up to a full batch
//	  │                       │
//	  │ else                  │ Pass, when its batch is published, and End, when it is over, let
//	  ▼                       ▼ the share that has waited longest lead the next batch
//	waits ──Lead closed───▶ leads the next batch
//	  ├──Done───────────────▶ another's batch took it along; this is its result
//	  ├──BreakOut───────────▶ leads a batch beside the others, one at a time
//	  └──Leave──────────────▶ gone
//
// Up to [Ahead] batches may be in progress, and at most one of them is not published
// yet. The second one begins when as many commits wait as the first one has. With a
// broker that confirms after 5 milliseconds, the second batch made the commits of 32
// writers a tenth faster when measured. If it began at once, it would often be small:
// with a broker on the same machine, where all processors were busy, that made them a
// twelfth slower. A third batch makes nothing faster.
package gather

import (
	"slices"
	"sync"
)

const (
	// Ahead is how many batches may be in progress: one that waits for the broker's
	// confirmation, and one that is claimed and sent meanwhile.
	Ahead = 2
	// MaxBatch is the largest number of rows in a batch. A commit with more must be split
	// before it joins.
	MaxBatch = 500
)

// A Gatherer joins the autoflushes of one signal type. The zero value is ready to
// use. Its methods are safe for concurrent use.
type Gatherer struct {
	mu       sync.Mutex
	led      bool // somebody claims and publishes a batch, and will pass the lead on
	out      bool // a batch has broken out
	underWay int  // batches, that of the leader counted
	size     int  // shares in the last batch
	waiting  []*Share
}

// A Share is the part of one commit in a batch.
type Share struct {
	IDs  []any
	Lead chan struct{} // closed when the commit is to lead the next batch
	Done chan Result   // has the result when another commit's batch took the share
}

// A Result is the outcome of a share.
type Result struct {
	Sent  int
	Err   error
	Alone bool // nothing came of the batch; its shares are to try alone
}

// Join adds the ids of a commit, and reports whether this commit has the lead.
func (g *Gatherer) Join(ids []any) (s *Share, lead bool) {
	s = &Share{IDs: ids, Lead: make(chan struct{}), Done: make(chan Result, 1)}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, s)
	return s, g.next() == s
}

// BreakOut lets a waiting share lead a batch beside the others. It returns false if
// there is such a batch already, or if the share is no longer waiting.
func (g *Gatherer) BreakOut(s *Share) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiting, s)
	if i < 0 || g.out {
		return false
	}
	g.waiting = slices.Delete(g.waiting, i, i+1)
	g.out = true
	return true
}

// EndOut ends a batch that had broken out.
func (g *Gatherer) EndOut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.out = false
}

// free reports whether the shares that wait may start another batch.
func (g *Gatherer) free() bool {
	return !g.led && (g.underWay == 0 || g.underWay < Ahead && len(g.waiting) >= g.size)
}

// Leave takes a share back. It returns false if the share has the lead by now, or
// is in a batch.
func (g *Gatherer) Leave(s *Share) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiting, s)
	if i < 0 {
		return false
	}
	g.waiting = slices.Delete(g.waiting, i, i+1)
	return true
}

// Gather returns the batch of the leader: its own share, and the waiting ones that
// fit.
func (g *Gatherer) Gather(own *Share) []*Share {
	g.mu.Lock()
	defer g.mu.Unlock()
	batch, rows := []*Share{own}, len(own.IDs)
	for len(g.waiting) > 0 && rows+len(g.waiting[0].IDs) <= MaxBatch {
		rows += len(g.waiting[0].IDs)
		batch = append(batch, g.waiting[0])
		g.waiting = g.waiting[1:]
	}
	g.size = len(batch)
	return batch
}

// Pass passes the lead on after the batch is published.
func (g *Gatherer) Pass() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.led = false
	g.next()
}

// End ends a batch that has passed the lead on.
func (g *Gatherer) End() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.underWay--
	g.next()
}

// next gives the lead, if it is free, to the share that has waited longest, and returns
// that share.
func (g *Gatherer) next() *Share {
	switch {
	case len(g.waiting) == 0:
		g.waiting = nil
		return nil
	case !g.free():
		return nil
	}
	first := g.waiting[0]
	g.waiting = g.waiting[1:]
	g.led, g.size = true, 1
	g.underWay++
	close(first.Lead)
	return first
}
