package entsignal

import (
	"context"
	"database/sql/driver"
	"fmt"
	"reflect"
	"time"

	"entgo.io/ent"
	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/internal/database"
)

// Model is what generated code tells the bus of one signal type. C is the
// generated client's *config, T the entity, ID the type of its id and Q its
// query builder. Models are written by the code generator only.
type Model[C, T, ID any, Q Query[T]] struct {
	Name       string
	Table      string
	IDColumn   string
	AutoFlush  bool
	BurstCount int         // 0: the bus's default
	OrderBy    []OrderTerm // as the schema gives it, in ent fields
	// OrderColumns is OrderBy in columns of the table.
	OrderColumns []OrderTerm
	// OrderKey is the field of the key, and KeyColumn its column; empty if
	// there is none.
	OrderKey     string
	KeyColumn    string
	LockOrderKey bool

	// Sender is nil if the application has none.
	Sender Sender[T]
	// Counted says that the column of the id has whole numbers.
	Counted bool
	// ID returns the id of a signal.
	ID func(T) ID
	// IDScanner, if set, points to the ValueScanner of the id's field.
	IDScanner *field.TypeValueScanner[ID]
	// Query returns a query for the signals that match, free of the
	// interceptors that a project adds to its client.
	Query func(c C, drv dialect.Driver, match func(*sql.Selector)) Q
	// Children, if set, makes a query load the entities that the database
	// deletes together with the signal.
	Children func(Q)
	// With, if set, is the application's own wish of what to load.
	With func(Q)
	// Schema, if set, returns the database schema of the table.
	Schema func(C) string
	// Retry is the policy of mixin.Retry, or nil without it.
	Retry *RetryPolicy
	// RetryState returns what mixin.Retry keeps in a row.
	RetryState func(T) RetryState
}

// Query is what the bus needs of a generated query builder.
type Query[T any] interface {
	All(context.Context) ([]T, error)
	Count(context.Context) (int, error)
}

// Signal is one signal type of a bus, made by [NewSignal].
type Signal interface {
	// info describes the signal; BurstCount is 0 if the schema sets none.
	info() Info
	// columns tells how rows are found.
	columns() columns
	// sendable reports whether the signal has a sender.
	sendable() bool
	// bind gives the signal the config of the client that it is read through,
	// and what returns why its bus should send nothing else, or nil.
	bind(config any, stopped func(context.Context) error) error
	// ids returns the ids of the rows that match, in the query's order.
	ids(ctx context.Context, drv dialect.Driver, match func(*sql.Selector)) ([]any, error)
	// keys returns the ids and the keys of the rows that match.
	keys(ctx context.Context, drv dialect.Driver, match func(*sql.Selector)) (ids, keys []any, err error)
	// count returns the number of rows that match.
	count(ctx context.Context, drv dialect.Driver, match func(*sql.Selector)) (int, error)
	// retries reports whether there is mixin.Retry.
	retries() bool
	// discardable returns the ids of those of the rows that match which can't be
	// decoded or, with mixin.Retry, which have failed.
	discardable(ctx context.Context, drv dialect.Driver, match func(*sql.Selector)) ([]any, error)
	// failed returns those of the rows that match which have failed, and the
	// id of the last one.
	failed(ctx context.Context, drv dialect.Driver, match func(*sql.Selector)) (all []FailedSignal, last any, err error)
	// storedID returns what the database takes for an id, as it does all the ids
	// here.
	storedID(id any) (any, error)
	// parseID returns the id that the text stands for, and textOf the text.
	parseID(text string) (any, error)
	textOf(id any) string
	// table tells where the rows are. It is known when the signal is bound.
	table() database.Table
	// weight tells how large the rows of the last batch were.
	weight() *weight
	// batch returns a batch of the rows that sel picks.
	batch(meta Batch, sel selection) batch
}

// NewSignal returns the signal that m describes.
func NewSignal[C, T, ID any, Q Query[T]](m Model[C, T, ID, Q]) Signal {
	return &signal[C, T, ID, Q]{Model: m, codec: newIDCodec(m.IDScanner)}
}

type signal[C, T, ID any, Q Query[T]] struct {
	Model[C, T, ID, Q]
	codec   idCodec[ID]
	config  C
	stopped func(context.Context) error
	rows    weight
}

func (s *signal[C, T, ID, Q]) info() Info {
	return Info{Name: s.Name, Table: s.Table, AutoFlush: s.AutoFlush, BurstCount: s.BurstCount, OrderBy: s.OrderBy, OrderKey: s.OrderKey, LockOrderKey: s.LockOrderKey}
}

func (s *signal[C, T, ID, Q]) columns() columns {
	return columns{id: s.IDColumn, key: s.KeyColumn, order: s.OrderColumns, idType: reflect.TypeFor[ID](), counted: s.Counted, retry: s.Retry != nil}
}

func (s *signal[C, T, ID, Q]) sendable() bool { return s.Sender != nil }

func (s *signal[C, T, ID, Q]) bind(config any, stopped func(context.Context) error) error {
	c, ok := config.(C)
	if !ok {
		return fmt.Errorf("entsignal: the bus was made by another ent package than the client: signal %s expects %T, not %T", s.Name, s.config, config)
	}
	s.config, s.stopped = c, stopped
	return nil
}

// Stored returns v as the field's ValueScanner, which is not set before the
// program runs, gives it to the database.
func Stored[V any](scanner *field.TypeValueScanner[V], v V) driver.Valuer {
	return stored[V]{scanner, v}
}

type stored[V any] struct {
	scanner *field.TypeValueScanner[V]
	v       V
}

// Value implements [driver.Valuer].
func (s stored[V]) Value() (driver.Value, error) { return (*s.scanner).Value(s.v) }

// storedIDOf returns what the database takes for the id of a row.
func (s *signal[C, T, ID, Q]) storedIDOf(row T) (any, error) { return s.codec.value(s.ID(row)) }

// text returns the text of a row's id, of which stored is the database's value.
func (s *signal[C, T, ID, Q]) text(row T, stored any) string {
	if s.codec.plain() {
		return formatID(stored)
	}
	return s.codec.text(s.ID(row))
}

func (s *signal[C, T, ID, Q]) count(ctx context.Context, drv dialect.Driver, match func(*sql.Selector)) (int, error) {
	return s.Model.Query(s.config, drv, match).Count(allowed(ctx))
}

func (s *signal[C, T, ID, Q]) retries() bool { return s.Retry != nil }

func (s *signal[C, T, ID, Q]) failed(ctx context.Context, drv dialect.Driver, match func(*sql.Selector)) (all []FailedSignal, last any, _ error) {
	rows, err := s.states(ctx, drv, func(s *sql.Selector) {
		match(s)
		hasFailed(s)
	})
	for _, row := range rows {
		last = row.id
		all = append(all, row.retry.failed(s.Name, s.textOf(last)))
	}
	return all, last, err
}

func (s *signal[C, T, ID, Q]) storedID(id any) (any, error) {
	typed, ok := id.(ID)
	if !ok {
		return nil, fmt.Errorf("an id of type %T; expected %s", id, reflect.TypeFor[ID]())
	}
	return s.codec.value(typed)
}

func (s *signal[C, T, ID, Q]) parseID(text string) (any, error) {
	id, err := s.codec.parse(text)
	if err != nil {
		return nil, err
	}
	return s.codec.value(id)
}

func (s *signal[C, T, ID, Q]) textOf(id any) string { return s.codec.textOf(id) }

func (s *signal[C, T, ID, Q]) table() database.Table {
	t := database.Table{Name: s.Table, IDColumn: s.IDColumn, Counted: s.Counted}
	if s.Schema != nil {
		t.Schema = s.Schema(s.config)
	}
	return t
}

func (s *signal[C, T, ID, Q]) weight() *weight { return &s.rows }

func (s *signal[C, T, ID, Q]) batch(meta Batch, sel selection) batch {
	return &delivery[C, T, ID, Q]{signal: s, meta: meta, sel: sel}
}

// columns tells how the rows of a signal are found.
type columns struct {
	id      string
	key     string // empty: there is none
	order   []OrderTerm
	idType  reflect.Type
	counted bool // whether the ids are whole numbers, which the database may count
	retry   bool // there are those of mixin.Retry
}

// listed matches the rows with these ids, by id, for a query through drv. The
// limit changes nothing but the mind of MySQL's optimizer, which would read, and
// lock, the whole of a small table.
func (c columns) listed(drv dialect.Driver, ids []any) func(*sql.Selector) {
	return func(s *sql.Selector) {
		s.Where(database.In(drv, s.C(c.id), c.counted, ids)).OrderBy(s.C(c.id)).Limit(len(ids))
	}
}

// span matches the first rows above after and up to top, by id. nil stands
// for no bound.
func (c columns) span(after, top any, limit int) func(*sql.Selector) {
	return func(s *sql.Selector) {
		if after != nil {
			s.Where(sql.GT(s.C(c.id), after))
		}
		if top != nil {
			s.Where(sql.LTE(s.C(c.id), top))
		}
		s.OrderBy(s.C(c.id)).Limit(limit)
	}
}

// due matches the rows of a span that may be sent now.
func (c columns) due(after, top any, limit int) func(*sql.Selector) {
	return func(s *sql.Selector) {
		c.span(after, top, limit)(s)
		if c.retry {
			isDue(time.Now())(s)
		}
	}
}

// last matches the row with the highest id.
func (c columns) last() func(*sql.Selector) {
	return func(s *sql.Selector) { s.OrderBy(sql.Desc(s.C(c.id))).Limit(1) }
}

// head matches the first rows in the order of the signal.
func (c columns) head(limit int) func(*sql.Selector) {
	return func(s *sql.Selector) {
		c.sort(s)
		s.Limit(limit)
	}
}

// movable reports whether a row's place in the order may change, which it can't
// in that of the ids.
func (c columns) movable() bool { return len(c.order) > 0 && c.order[0].Field() != c.id }

// movedColumn tells of a row that was read whether it has moved; see watchMoves.
const movedColumn = "entsignal_moved"

// watchMoves matches the rows that pick matches, in the order of the signal, for a
// query that locks them, on PostgreSQL. There a row that is changed after the query
// has begun, as while it waits for the lock, comes with its new values and in its
// old place. Such a row is marked: the place where it is stored isn't the one that
// the query saw.
func (c columns) watchMoves(s *sql.Selector, pick func(*sql.Selector)) {
	const place = "entsignal_place"
	t := s.Table()
	seen := sql.Dialect(s.Dialect()).Select(t.C(c.id)).From(t).AppendSelectAs(t.C("ctid"), place)
	pick(seen)
	seen.As("entsignal_seen")
	s.Join(seen).On(s.C(c.id), seen.C(c.id))
	c.sort(s)
	s.AppendSelectExprAs(sql.ExprFunc(func(b *sql.Builder) {
		b.Ident(t.C("ctid")).WriteString(" <> ").Ident(seen.C(place))
	}), movedColumn)
}

// hasMoved reports whether a row that was read is marked.
func hasMoved(row any) bool {
	r, ok := row.(interface {
		Value(name string) (ent.Value, error)
	})
	if !ok {
		return false
	}
	v, err := r.Value(movedColumn)
	moved, ok := v.(bool)
	return err == nil && ok && moved
}

// sort sorts by the order of the signal.
func (c columns) sort(s *sql.Selector) {
	for _, term := range append(c.order[:len(c.order):len(c.order)], OrderTerm(c.id)) {
		if term.Descending() {
			s.OrderBy(sql.Desc(s.C(term.Field())))
		} else {
			s.OrderBy(s.C(term.Field()))
		}
	}
}

// ofKey matches the rows of a key, in their order, with ids up to top; nil
// stands for no bound.
func (c columns) ofKey(key, top any) func(*sql.Selector) {
	return func(s *sql.Selector) {
		if key == nil { // the schema forbids it, and the table may not
			s.Where(sql.IsNull(s.C(c.key)))
		} else {
			s.Where(sql.EQ(s.C(c.key), key))
		}
		if top != nil {
			s.Where(sql.LTE(s.C(c.id), top))
		}
		c.sort(s)
	}
}

// oldest matches the row with the lowest id of each key, by id: the first of
// those above after, and up to top.
func (c columns) oldest(after, top any, limit int) func(*sql.Selector) {
	return func(s *sql.Selector) {
		b, t := sql.Dialect(s.Dialect()), s.Table()
		numbered := b.Select(t.C(c.id)).From(t).
			AppendSelectExprAs(sql.RowNumber().PartitionBy(t.C(c.key)).OrderBy(t.C(c.id)), "entsignal_number").
			As("entsignal_rows")
		first := b.Select(numbered.C(c.id)).From(numbered).Where(sql.EQ(numbered.C("entsignal_number"), 1))
		s.Where(sql.In(s.C(c.id), first))
		c.span(after, top, limit)(s)
	}
}
