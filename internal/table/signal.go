package table

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/database"
	"github.com/entsignal/signalbus/internal/retry"
)

// A Signal is one signal type. Its ids are database values everywhere. The match
// functions select the rows of a query.
type Signal interface {
	// Info describes the signal; BurstCount is 0 if the schema sets none.
	Info() entsignal.Info
	// Columns returns the conditions that select rows.
	Columns() Columns
	// Retry returns the policy of mixin.Retry, or nil without it.
	Retry() *retry.Policy
	// Traced reports whether the rows have the columns of mixin.Trace.
	Traced() bool
	// HasSender reports whether the signal has a sender.
	HasSender() bool

	// Bind sets the config of the client by which the signal is read.
	Bind(config any) error
	// Table returns where the rows are. It is known after Bind.
	Table() database.Table

	// StoredID returns the database value of an id, ParseID that of the id with a
	// text, and IDText the text.
	StoredID(id any) (any, error)
	ParseID(text string) (any, error)
	IDText(stored any) string

	// LoadsEdges reports whether Load reads other entities with the rows.
	LoadsEdges() bool

	// Count returns the number of rows that match. It stops at most, if that isn't 0.
	Count(ctx context.Context, drv dialect.Driver, match func(*sql.Selector), most int) (int, error)
	// CountHeld returns how many rows are dead, and how many wait at that time for their next
	// attempt. It stops when they are most together, if that isn't 0.
	CountHeld(ctx context.Context, drv dialect.Driver, at time.Time, most int) (dead, waiting int, _ error)
	// IDs returns the ids of the rows that match, in the query's order.
	IDs(ctx context.Context, drv dialect.Driver, match func(*sql.Selector)) ([]any, error)
	// Keys returns the ids and the keys of the rows that match.
	Keys(ctx context.Context, drv dialect.Driver, match func(*sql.Selector)) (ids, keys []any, err error)
	// States returns the state of the rows that match, without decoding them.
	States(ctx context.Context, drv dialect.Driver, match func(*sql.Selector)) ([]RowState, error)
	// Recorded returns the ids of the rows that match, and when each was recorded by
	// mixin.Trace, nil if it doesn't say.
	Recorded(ctx context.Context, drv dialect.Driver, match func(*sql.Selector)) (ids []any, at []*time.Time, err error)
	// Load returns the rows that match as entities, together with their loaded
	// edges. The error is an [*entsignal.DecodeError] if it is about some of the
	// rows and not about the database, the end of ctx, an interceptor or the
	// building of a query.
	Load(ctx context.Context, drv dialect.Driver, match func(*sql.Selector)) (Rows, error)
}

// New returns the signal that m describes.
func New[C, T, ID any, Q Query[T]](m Model[C, T, ID, Q]) Signal {
	return &signal[C, T, ID, Q]{model: m, codec: newIDCodec(m.IDScanner)}
}

type signal[C, T, ID any, Q Query[T]] struct {
	model  Model[C, T, ID, Q]
	codec  idCodec[ID]
	config C
}

func (s *signal[C, T, ID, Q]) Info() entsignal.Info {
	m := &s.model
	return entsignal.Info{Name: m.Name, Table: m.Table, AutoFlush: m.AutoFlush, BurstCount: m.BurstCount, OrderBy: m.OrderBy, OrderKey: m.OrderKey, LockOrderKey: m.LockOrderKey}
}

func (s *signal[C, T, ID, Q]) Columns() Columns {
	m := &s.model
	return Columns{ID: m.IDColumn, Key: m.KeyColumn, Order: m.OrderColumns, IDType: reflect.TypeFor[ID](), Counted: m.Counted, Retry: m.Retry != nil, Compares: m.OrderCompares}
}

func (s *signal[C, T, ID, Q]) Retry() *retry.Policy { return s.model.Retry }

func (s *signal[C, T, ID, Q]) Traced() bool { return s.model.Trace != nil }

func (s *signal[C, T, ID, Q]) HasSender() bool { return s.model.Sender != nil }

func (s *signal[C, T, ID, Q]) LoadsEdges() bool {
	return s.model.Children != nil || s.model.With != nil
}

func (s *signal[C, T, ID, Q]) Bind(config any) error {
	c, ok := config.(C)
	if !ok {
		return fmt.Errorf("entsignal: the bus was made by another ent package than the client: signal %s expects %T, not %T", s.model.Name, s.config, config)
	}
	s.config = c
	return nil
}

func (s *signal[C, T, ID, Q]) Table() database.Table {
	t := database.Table{Name: s.model.Table, IDColumn: s.model.IDColumn, Counted: s.model.Counted}
	if s.model.Schema != nil {
		t.Schema = s.model.Schema(s.config)
	}
	return t
}

func (s *signal[C, T, ID, Q]) StoredID(id any) (any, error) {
	typed, ok := id.(ID)
	if !ok {
		return nil, fmt.Errorf("an id of type %T; expected %s", id, reflect.TypeFor[ID]())
	}
	return s.codec.value(typed)
}

func (s *signal[C, T, ID, Q]) ParseID(text string) (any, error) {
	id, err := s.codec.parse(text)
	if err != nil {
		return nil, err
	}
	return s.codec.value(id)
}

func (s *signal[C, T, ID, Q]) IDText(stored any) string { return s.codec.textOf(stored) }
