// Package inbox is the memory of a consumer: the keys of the messages that it has
// handled.
//
//	             ┌─ new ────▶ the handler runs ──▶ commit: key and work
//	insert keys ─┤
//	             └─ there ──▶ dropped, nothing runs
//
// The key comes first, so that a second copy that arrives while the first is handled
// waits in the database, at the unique index, until that one has committed, and is
// dropped then, or has rolled back, and takes its place. Keys older than the retention
// are deleted in batches.
package inbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"entgo.io/ent/dialect"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/annotation"
	"github.com/entsignal/signalbus/internal/database"
	"github.com/entsignal/signalbus/internal/txn"
)

// An Inbox is what generated code tells of an entity with mixin.Inbox.
type Inbox struct {
	Name     string // of the entity
	Schema   string // empty: the connection's
	Table    string
	IDColumn string
	// NewID returns the id of a new row; nil if the database gives it.
	NewID     func() (any, error)
	Retention time.Duration
}

const (
	// insertAtOnce is how many keys one statement inserts. SQLite takes no more than
	// 32766 arguments, PostgreSQL 65535.
	insertAtOnce = 5000
	// purgeAtOnce is how many one transaction deletes.
	purgeAtOnce = 1000
)

// Check returns why one of the keys can't be one, and nil if all can. No other try can
// help, so the error is permanent.
func (in Inbox) Check(keys []entsignal.MessageKey) error {
	for _, k := range keys {
		part, err := "Source", checkPart(k.Source)
		if err == nil {
			part, err = "ID", checkPart(k.ID)
		}
		if err != nil {
			return entsignal.Permanent(in.wrap(fmt.Errorf("MessageKey{Source: %q, ID: %q}: %s: %w", k.Source, k.ID, part, err)))
		}
	}
	return nil
}

var (
	errEmpty   = errors.New("it is empty; without it, one message can't be told from another")
	errNotText = errors.New("expected a text in UTF-8, without zero bytes")
	errTooLong = fmt.Errorf("expected at most %d bytes", annotation.KeySize)
)

func checkPart(text string) error {
	switch {
	case text == "":
		return errEmpty
	case len(text) > annotation.KeySize:
		return errTooLong
	case !utf8.ValidString(text), strings.Contains(text, "\x00"):
		return errNotText
	default:
		return nil
	}
}

// Insert inserts the keys that are not there yet, in the transaction in which drv works,
// and returns them in their order. exact is what CheckTable has reported.
func (in Inbox) Insert(ctx context.Context, drv dialect.Driver, keys []entsignal.MessageKey, exact bool) ([]entsignal.MessageKey, error) {
	sorted := slices.SortedFunc(slices.Values(keys), compare)
	sorted = slices.Compact(sorted)
	inserted := make(map[entsignal.MessageKey]bool)
	table := in.rows()
	table.Exact = exact
	for chunk := range slices.Chunk(sorted, insertAtOnce) {
		rows := make([]database.ReceivedKey, len(chunk))
		for i, k := range chunk {
			rows[i] = database.ReceivedKey{Source: k.Source, MessageID: k.ID}
			if in.NewID == nil {
				continue
			}
			id, err := in.NewID()
			if err != nil {
				return nil, in.wrap(err)
			}
			rows[i].ID = id
		}
		isNew, err := table.InsertKeys(ctx, drv, rows)
		if err != nil {
			return nil, in.wrap(fmt.Errorf("insert the key of the message: %w", err))
		}
		for i, k := range chunk {
			if isNew[i] {
				inserted[k] = true
			}
		}
	}
	var first []entsignal.MessageKey
	for _, k := range keys {
		if inserted[k] {
			first = append(first, k)
			delete(inserted, k) // the same key again in a batch is a repeat
		}
	}
	return first, nil
}

func compare(a, b entsignal.MessageKey) int {
	return cmp.Or(strings.Compare(a.Source, b.Source), strings.Compare(a.ID, b.ID))
}

// CheckTable returns why the table can't be an inbox, as far as the database would not
// say so at the first insertion, and what Insert has to know of the table.
func (in Inbox) CheckTable(ctx context.Context, drv dialect.Driver) (exact bool, _ error) {
	exact, err := in.rows().Check(ctx, drv)
	return exact, in.wrap(err)
}

// Purge deletes the keys that are older than the retention, in batches with a
// transaction each, and returns how many it has deleted, also with an error.
func (in Inbox) Purge(ctx context.Context, drv dialect.Driver) (total int, _ error) {
	for {
		n, more, err := in.PurgeBatch(ctx, drv)
		total += n
		if err != nil || !more {
			return total, err
		}
	}
}

// PurgeBatch deletes one batch of these keys, and reports whether there may be more.
func (in Inbox) PurgeBatch(ctx context.Context, drv dialect.Driver) (n int, more bool, _ error) {
	seconds := int64((in.Retention + time.Second - 1) / time.Second)
	err := txn.Run(ctx, txn.Defaults(), func(int) (again bool, err error) {
		n, err = in.rows().DeleteOld(ctx, drv, seconds, purgeAtOnce)
		return entsignal.IsSerializationFailure(err), err
	})
	if err != nil {
		return 0, false, in.wrap(fmt.Errorf("purge: %w", err))
	}
	return n, n == purgeAtOnce, nil
}

func (in Inbox) rows() database.Inbox {
	return database.Inbox{
		Schema: in.Schema, Name: in.Table, ID: in.IDColumn,
		Source: annotation.FieldSource, MessageID: annotation.FieldMessageID, ReceivedAt: annotation.FieldReceivedAt,
	}
}

// wrap names the inbox in an error.
func (in Inbox) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("entsignal: inbox %s: %w", in.Name, err)
}
