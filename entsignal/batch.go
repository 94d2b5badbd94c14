package entsignal

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
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

type batchKey struct{}

// BatchFromContext returns the batch that a sender is sending. It reports
// false for a context that doesn't come from a bus. Under [Each] the batch
// holds the one signal at hand.
func BatchFromContext(ctx context.Context) (Batch, bool) {
	b, ok := ctx.Value(batchKey{}).(Batch)
	return b, ok
}

func withBatch(ctx context.Context, b Batch) context.Context {
	return context.WithValue(ctx, batchKey{}, b)
}

// formatID returns the text of an id for [Item].
func formatID(id any) string {
	switch id := id.(type) {
	case int:
		return strconv.Itoa(id)
	case int64:
		return strconv.FormatInt(id, 10)
	case string:
		return id
	default:
		return fmt.Sprint(id)
	}
}

// showID returns the text of an id for an error: as it is if it is plain, else
// quoted, because a text from outside could forge lines of a log, and cut.
func showID(id string) string {
	const most = 100
	plain := func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-_./@+", r)
	}
	cut := id
	for len(cut) > most {
		_, size := utf8.DecodeLastRuneInString(cut)
		cut = cut[:len(cut)-size]
	}
	switch {
	case cut != id:
		return strconv.Quote(cut) + "…"
	case id == "" || strings.ContainsFunc(id, func(r rune) bool { return !plain(r) }):
		return strconv.Quote(id)
	}
	return id
}
