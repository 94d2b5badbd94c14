package entsignal

import (
	"context"
	"fmt"
	"time"

	"github.com/entsignal/signalbus/internal/sending"
)

// Info describes one signal type.
type Info struct {
	Name       string `json:"name"`        // the entity's name, such as OrderPlaced
	Table      string `json:"table"`       // the table that holds pending signals
	AutoFlush  bool   `json:"autoflush"`   // whether a commit sends its signals
	BurstCount int    `json:"burst_count"` // largest number of rows per transaction of a flush
	// BurstGrows says that nothing sets the burst count: Flush and FlushMany start with
	// 1 and double it, up to 1,000, while batches are sent as a whole within 100 ms.
	BurstGrows bool        `json:"burst_grows,omitempty"`
	OrderBy    []OrderTerm `json:"order_by"` // the order of FlushOrdered, without the id, which always comes last
	// OrderKey is the field whose values each have an order of their own. It is
	// empty if there is one order for all signals.
	OrderKey     string `json:"order_key,omitempty"`
	LockOrderKey bool   `json:"lock_order_key,omitempty"` // whether transactions that create signals with the same key wait for each other
}

// Mode tells a sender which operation sends the batch.
type Mode int

// The modes.
const (
	ModeAutoFlush    Mode = iota + 1 // a commit
	ModeFlush                        // Flush
	ModeFlushMany                    // FlushMany
	ModeFlushOrdered                 // FlushOrdered
	ModeSend                         // Send of a generated client
)

// String returns the mode in lower case, such as "flushmany".
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

// Batch describes the signals that a [Sender] was called with.
type Batch struct {
	Signal Info
	Mode   Mode
	Items  []Item // one per signal, in the same order
}

// Item describes one signal of a [Batch].
type Item struct {
	// ID is the id of the row as text. It is unique within the signal type. It is
	// the same each time the row is sent.
	ID string
	// RecordedAt is when the signal was created, by the clock of the application that
	// did. It is zero if that isn't known: it takes mixin.Trace.
	RecordedAt time.Time
	// Trace is the trace context of the span that created the signal, for the headers of
	// its message: a consumer that knows it continues the trace. It takes mixin.Trace and
	// a [Tracer] on the bus of the application that creates the signal. Don't replace it
	// by that of another span.
	Trace TraceContext
}

// BatchFromContext returns the batch that a sender is sending. It returns false if
// ctx doesn't come from a bus. Inside [Each] the batch contains only the current
// signal.
func BatchFromContext(ctx context.Context) (Batch, bool) {
	b, ok := sending.Batch(ctx).(Batch)
	return b, ok
}

// NewBatchContext returns a context from which [BatchFromContext] returns b. A bus
// passes such a context to a sender; use it in tests that call a sender directly.
func NewBatchContext(ctx context.Context, b Batch) context.Context { return sending.WithBatch(ctx, b) }
