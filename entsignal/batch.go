package entsignal

import (
	"context"
	"fmt"

	"github.com/entsignal/signalbus/internal/sending"
)

// Info describes one signal type.
type Info struct {
	Name       string      `json:"name"`        // the entity's name, such as OrderPlaced
	Table      string      `json:"table"`       // the table that holds pending signals
	AutoFlush  bool        `json:"autoflush"`   // whether a commit sends its signals
	BurstCount int         `json:"burst_count"` // rows per transaction of the three flushes
	OrderBy    []OrderTerm `json:"order_by"`    // the order of FlushOrdered, without the id that always ends it
	// OrderKey is the field whose values are ordered apart from each other, or
	// empty if there is one order for all.
	OrderKey     string `json:"order_key,omitempty"`
	LockOrderKey bool   `json:"lock_order_key,omitempty"` // whether writers of a key wait for each other
}

// Mode says what made the bus send a batch.
type Mode int

// The modes, one for each way by which signals leave.
const (
	ModeAutoFlush    Mode = iota + 1 // a commit
	ModeFlush                        // Flush
	ModeFlushMany                    // FlushMany
	ModeFlushOrdered                 // FlushOrdered
	ModeSend                         // Send of a generated client
)

// String returns the mode's name in lower case, as the commands spell it.
func (m Mode) String() string {
	switch m {
	case ModeAutoFlush:
		return "autoflush"
	case ModeFlush:
		return "flush"
	case ModeFlushMany:
		return "flushmany"
	case ModeFlushOrdered:
		return "flushordered"
	case ModeSend:
		return "send"
	default:
		return fmt.Sprintf("Mode(%d)", int(m))
	}
}

// Batch describes what a [Sender] was called with.
type Batch struct {
	Signal Info
	Mode   Mode
	Items  []Item // one for each signal, in their order
}

// Item describes one signal of a [Batch].
type Item struct {
	// ID is the id of the row as text. It is unique among the signals of one
	// type, and the same each time the row is sent.
	ID string
}

// BatchFromContext returns the batch that a sender is sending. It reports
// false for a context that doesn't come from a bus. Under [Each] the batch
// holds the one signal at hand.
func BatchFromContext(ctx context.Context) (Batch, bool) {
	b, ok := sending.Batch(ctx).(Batch)
	return b, ok
}

// NewBatchContext returns a context in which a sender finds b by
// [BatchFromContext], as in the one that a bus gives to it. It is for tests that
// call a sender themselves.
func NewBatchContext(ctx context.Context, b Batch) context.Context { return sending.WithBatch(ctx, b) }
