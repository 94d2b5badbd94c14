package codegen

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"entgo.io/ent/dialect/sql/schema"
	"entgo.io/ent/entc/gen"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/internal/annotation"
)

// inbox is what the templates know of one entity with mixin.Inbox.
type inbox struct {
	*gen.Type
	Retention time.Duration
	NewID     bool // the id has a default in Go, which an insertion by SQL has to call
}

// week is the retention of an inbox that sets none.
const week = 7 * 24 * time.Hour

// inboxesOf returns the inboxes of a graph, and all that is wrong with them.
func inboxesOf(g *gen.Graph) ([]*inbox, error) {
	var (
		inboxes []*inbox
		errs    []error
		keys    *foreignKeys
	)
	for _, t := range g.Nodes {
		raw, ok := t.Annotations[annotation.InboxName]
		if !ok {
			continue
		}
		fail := func(all ...error) {
			for _, err := range all {
				errs = append(errs, fmt.Errorf("entsignal: schema %s: %w", t.Name, err))
			}
		}
		a, err := annotation.DecodeInbox(raw)
		if err == nil {
			err = checkInboxType(t)
		}
		if err != nil {
			fail(err)
			continue
		}
		if keys == nil {
			if keys, err = newForeignKeys(g); err != nil {
				return inboxes, errors.Join(append(errs, fmt.Errorf("entsignal: %w", err))...)
			}
		}
		in := &inbox{Type: t, Retention: a.Retention, NewID: t.ID.Default && t.ID.DefaultFunc()}
		switch {
		case a.Retention == 0:
			in.Retention = week
		case a.Retention < time.Second:
			fail(fmt.Errorf("mixin.Inbox: Retention: %v; expected a second or more, or 0, which stands for a week", a.Retention))
		}
		fail(in.checkFields()...)
		fail(in.checkIndexes()...)
		fail(in.checkInsert(keys.tables)...)
		for _, k := range keys.refusing(t) {
			fail(fmt.Errorf("%s would prevent the deletion of a key; add entsql.OnDelete(entsql.Cascade) or entsql.OnDelete(entsql.SetNull) to the edge's annotations, or remove the edge", keys.describe(k.table, k.key)))
		}
		inboxes = append(inboxes, in)
	}
	return inboxes, errors.Join(errs...)
}

// checkInboxType refuses what can't be an inbox at all.
func checkInboxType(t *gen.Type) error {
	_, isSignal := t.Annotations[annotation.Name]
	switch {
	case isSignal:
		return errors.New("it has mixin.Inbox and an annotation of a signal; the rows of a signal are deleted as soon as it is sent, and an inbox keeps its own: use two schemas")
	case t.IsView():
		return errors.New("a view can't be an inbox, because nothing can be inserted into it")
	case t.HasCompositeID():
		return errors.New("an inbox needs an id of one field; composite ids are not supported")
	case !t.HasOneFieldID():
		return errors.New("an inbox needs an id field")
	default:
		return nil
	}
}

// checkFields returns what is wrong with the fields of the mixin, which another mixin
// around it may have changed.
func (in *inbox) checkFields() (errs []error) {
	for _, name := range []string{annotation.FieldSource, annotation.FieldMessageID, annotation.FieldReceivedAt} {
		want, kind := field.TypeString, "a required string"
		if name == annotation.FieldReceivedAt {
			want, kind = field.TypeTime, "a required time"
		}
		at := slices.IndexFunc(in.Fields, func(f *gen.Field) bool { return f.Name == name })
		if at < 0 {
			errs = append(errs, fmt.Errorf("an inbox without the field %q; add mixin.Inbox to the schema's Mixin method, which brings it", name))
			continue
		}
		f := in.Fields[at]
		switch size := f.Column().Size; {
		case f.StorageKey() != name:
			errs = append(errs, fmt.Errorf("field %q of an inbox: its column is %s; expected the same name", name, f.StorageKey()))
		case f.Type.Type != want || f.Optional || f.HasGoType():
			errs = append(errs, fmt.Errorf("field %q of an inbox: expected %s, as mixin.Inbox brings it", name, kind))
		case want == field.TypeString && size > 0 && size < annotation.KeySize:
			errs = append(errs, fmt.Errorf("field %q of an inbox: it has room for %d bytes; expected %d", name, size, annotation.KeySize))
		}
	}
	return errs
}

// checkIndexes returns which of the indexes is missing.
func (in *inbox) checkIndexes() (errs []error) {
	has := func(unique bool, columns ...string) bool {
		return slices.ContainsFunc(in.Indexes, func(i *gen.Index) bool {
			return i.Unique == unique && slices.Equal(i.Columns, columns)
		})
	}
	if !has(true, annotation.FieldSource, annotation.FieldMessageID) {
		errs = append(errs, fmt.Errorf("an inbox without a unique index on its fields %q and %q, which makes a second copy wait; mixin.Inbox brings it", annotation.FieldSource, annotation.FieldMessageID))
	}
	if !has(false, annotation.FieldReceivedAt) {
		errs = append(errs, fmt.Errorf("an inbox without an index on its field %q, by which old keys are found; mixin.Inbox brings it", annotation.FieldReceivedAt))
	}
	return errs
}

// checkInsert returns which columns a row that is inserted by SQL would have to have a
// value for.
func (in *inbox) checkInsert(tables []*schema.Table) (errs []error) {
	known := []string{annotation.FieldSource, annotation.FieldMessageID, annotation.FieldReceivedAt}
	for _, table := range tables {
		if table.Name != in.Table() || table.Schema != "" && in.EntSQL() != nil && table.Schema != in.EntSQL().Schema {
			continue
		}
		for _, c := range table.Columns {
			switch {
			case slices.Contains(known, c.Name), c.Nullable, c.Default != nil, c.Increment:
			case c.Name != in.ID.StorageKey():
				errs = append(errs, fmt.Errorf("%s is required, and Once inserts a row without it; make it optional, or give it a default of the database with entsql.Default", in.describeColumn(c.Name)))
			case !in.NewID:
				errs = append(errs, fmt.Errorf("field %q of type %s: Once inserts a row without it; expected an integer that the database counts, or an id with a DefaultFunc", in.ID.Name, in.ID.Type))
			}
		}
	}
	return errs
}

// describeColumn names the field or the edge that a column comes from.
func (in *inbox) describeColumn(name string) string {
	for _, f := range in.Fields {
		if f.StorageKey() == name {
			return fmt.Sprintf("field %q", f.Name)
		}
	}
	for _, e := range in.Edges {
		if e.OwnFK() && e.Rel.Column() == name {
			return fmt.Sprintf("edge %q", e.Name)
		}
	}
	return "column " + name
}
