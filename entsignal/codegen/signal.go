package codegen

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"text/template"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql/schema"
	"entgo.io/ent/entc/gen"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/annotation"
	"github.com/entsignal/signalbus/internal/retry"
	"github.com/entsignal/signalbus/internal/trace"
)

// signal is what the templates need of one signal.
type signal struct {
	*gen.Type
	AutoFlush    bool
	BurstCount   int // 0: not set
	OrderBy      []entsignal.OrderTerm
	OrderColumns []entsignal.OrderTerm
	// OrderCompares means that MySQL compares the columns of the order as it sorts
	// them.
	OrderCompares bool
	OrderKey      *gen.Field // nil: there is none
	LockOrderKey  bool
	OrderIndex    bool              // to be added
	Retry         *annotation.Retry // nil: without mixin.Retry
	Trace         bool              // with mixin.Trace
	// Children are the edges to the entities that the database deletes
	// together with the signal.
	Children []*gen.Edge
}

func funcs() template.FuncMap {
	return template.FuncMap{
		"entsignalSignals": signalsOf,
		"entsignalInboxes": inboxesOf,
		"entsignalImports": idPackages,
		"entsignalPrepares": func(t *gen.Type) bool {
			raw, ok := t.Annotations[annotation.Name]
			a, err := annotation.Decode(raw)
			return ok && err == nil && (a.LockOrderKey || a.AutoFlush == nil || *a.AutoFlush)
		},
	}
}

// idPackages returns the packages of the ids, and those that ent generates for the
// ValueScanners of ids and keys, as path to name. The name is empty if the path
// already shows it. Without them goimports would have to guess.
func idPackages(g *gen.Graph) map[string]string {
	packages := make(map[string]string)
	for _, t := range g.Nodes {
		if !t.HasOneFieldID() {
			continue
		}
		_, isInbox := t.Annotations[annotation.InboxName]
		if t.ID.HasValueScanner() || hasKeyScanner(t) || isInbox && t.ID.Default {
			packages[path.Join(g.Package, t.PackageDir())] = t.PackageAlias()
		}
		pkg, name := t.ID.Type.PkgPath, t.ID.Type.PkgName
		switch {
		case pkg == "":
		case name == path.Base(pkg):
			packages[pkg] = ""
		default:
			packages[pkg] = name
		}
	}
	return packages
}

// hasKeyScanner reports whether t has an order key with a ValueScanner.
func hasKeyScanner(t *gen.Type) bool {
	a, err := annotation.Decode(t.Annotations[annotation.Name])
	if err != nil || a.OrderKey == nil {
		return false
	}
	return slices.ContainsFunc(t.Fields, func(f *gen.Field) bool { return f.Name == *a.OrderKey && f.HasValueScanner() })
}

// signalsOf returns the signals of a graph and all their errors.
func signalsOf(g *gen.Graph) ([]*signal, error) {
	var (
		signals []*signal
		errs    []error
		keys    *foreignKeys
	)
	for _, t := range g.Nodes {
		raw, ok := t.Annotations[annotation.Name]
		if !ok {
			continue
		}
		fail := func(all ...error) {
			for _, err := range all {
				errs = append(errs, fmt.Errorf("entsignal: schema %s: %w", t.Name, err))
			}
		}
		a, err := annotation.Decode(raw)
		if err != nil {
			fail(err)
			continue
		}
		if err := checkType(t, a); err != nil {
			fail(err)
			continue
		}
		if keys == nil {
			if keys, err = newForeignKeys(g); err != nil {
				return signals, errors.Join(append(errs, fmt.Errorf("entsignal: %w", err))...)
			}
		}
		s := &signal{Type: t, AutoFlush: a.AutoFlush == nil || *a.AutoFlush}
		if s.BurstCount, err = burstCount(a); err != nil {
			fail(err)
		}
		fail(s.order(a)...)
		if err := s.key(a); err != nil {
			fail(err)
		}
		if err := s.orderIndex(a); err != nil {
			fail(err)
		}
		fail(s.retry(a)...)
		fail(s.trace(a)...)
		for _, k := range keys.refusing(t) {
			fail(keys.refuses(t, k))
		}
		s.Children = keys.children(t)
		signals = append(signals, s)
	}
	return signals, errors.Join(errs...)
}

// checkType rejects types that can't be a signal at all.
func checkType(t *gen.Type, a annotation.Signal) error {
	switch {
	case !a.Signal:
		return errors.New("it has an annotation for signals but is not a signal; add mixin.Signal{} to its Mixin method")
	case t.IsView():
		return errors.New("a view can't be a signal, because its rows can't be deleted")
	case t.HasCompositeID():
		return errors.New("a signal needs an id of one field; composite ids are not supported")
	case !t.HasOneFieldID():
		return errors.New("a signal needs an id field")
	case !isIDType(t.ID):
		return fmt.Errorf("field %q of type %s can't be the id of a signal: the database may not return its values unchanged; expected an integer, a string, bytes, a UUID, or field.Other", t.ID.Name, t.ID.Type)
	default:
		return nil
	}
}

// isIDType reports whether a row can be found by its id as it was read. ent can
// create ids of other types but not read them, or a database rounds them.
func isIDType(f *gen.Field) bool {
	return f.Type.Type.Integer() || f.IsString() || f.IsBytes() || f.IsUUID() || f.IsOther()
}

func burstCount(a annotation.Signal) (int, error) {
	if a.BurstCount == nil {
		return 0, nil
	}
	if n := *a.BurstCount; n < 1 || n > entsignal.MaxBurstCount {
		return 0, fmt.Errorf("BurstCount(%d); expected 1 to %d", n, entsignal.MaxBurstCount)
	}
	return *a.BurstCount, nil
}

// order sets the order of the signal from its annotation, and returns all errors in
// it.
func (s *signal) order(a annotation.Signal) (errs []error) {
	if a.OrderBy == nil {
		return nil
	}
	if len(*a.OrderBy) == 0 {
		return []error{errors.New("OrderBy needs at least one field")}
	}
	if a.AutoFlush == nil {
		return []error{errors.New("OrderBy without AutoFlush: an autoflush ignores the order; add entsignal.AutoFlush(false), or entsignal.AutoFlush(true) if the order matters only for FlushOrdered")}
	}
	s.OrderCompares = comparesInMySQL(s.ID)
	seen := make(map[string]bool)
	for _, text := range *a.OrderBy {
		term := entsignal.OrderTerm(text)
		field, err := s.orderField(term.Field())
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("OrderBy: %w", err))
			continue
		case seen[field.Name]:
			errs = append(errs, fmt.Errorf("OrderBy: field %q is given twice", field.Name))
		case seen[s.ID.Name]:
			errs = append(errs, fmt.Errorf("OrderBy: field %q comes after the id, which is unique; end with the id", field.Name))
		}
		seen[field.Name] = true
		column := entsignal.OrderTerm(field.StorageKey())
		if term.Descending() {
			column = entsignal.Desc(field.StorageKey())
		}
		s.OrderCompares = s.OrderCompares && comparesInMySQL(field)
		s.OrderBy = append(s.OrderBy, term)
		s.OrderColumns = append(s.OrderColumns, column)
	}
	return errs
}

// comparesInMySQL reports whether MySQL compares a field with a value that was read
// from it as it sorts the field. It sorts an enum by number, but compares it as a
// text. It rounds a float, and the driver a time.
func comparesInMySQL(f *gen.Field) bool {
	return f.Column().SchemaType[dialect.MySQL] == "" && (f.Type.Type.Integer() || f.IsBool() || f.IsUUID() || f.IsString() && !f.IsEnum())
}

// key sets the order key of the signal from its annotation.
func (s *signal) key(a annotation.Signal) error {
	if a.OrderKey == nil {
		if a.LockOrderKey {
			return errors.New("LockOrderKey without OrderKey: add entsignal.OrderKey to name the field to lock")
		}
		return nil
	}
	if a.AutoFlush == nil {
		return errors.New("OrderKey without AutoFlush: an autoflush ignores the order; add entsignal.AutoFlush(false), or entsignal.AutoFlush(true) if the order matters only for FlushOrdered")
	}
	f, err := s.orderField(*a.OrderKey)
	switch {
	case err != nil:
		return fmt.Errorf("OrderKey: %w", err)
	case f == s.ID:
		return fmt.Errorf("OrderKey: field %q is the id, which is unique; expected a field that several signals share", f.Name)
	case !isKeyType(f):
		return fmt.Errorf("OrderKey: field %q of type %s; expected an integer, string, enum, bool or UUID, or a type that is stored as one", f.Name, f.Type)
	}
	s.OrderKey, s.LockOrderKey = f, a.LockOrderKey
	return nil
}

// isKeyType reports whether rows can be found again by a key that was read. That
// doesn't work with times and floats, which a database may round.
func isKeyType(f *gen.Field) bool {
	return f.Type.Type.Integer() || f.IsString() || f.IsEnum() || f.IsBool() || f.IsUUID()
}

// orderField returns the field of that name, if rows can be ordered by it.
func (s *signal) orderField(name string) (*gen.Field, error) {
	fields := append([]*gen.Field{s.ID}, s.Fields...)
	known := make([]string, len(fields))
	for i, f := range fields {
		known[i] = f.Name
		switch {
		case f.Name != name:
		case f.Optional || f.Nillable:
			return nil, fmt.Errorf("field %q can be NULL, which databases sort differently; make the field required", name)
		case !f.Type.Comparable():
			return nil, fmt.Errorf("field %q of type %s is not comparable", name, f.Type)
		default:
			return f, nil
		}
	}
	return nil, fmt.Errorf("unknown field %q; known: %s", name, strings.Join(known, ", "))
}

// retry sets the policy of the signal from its annotation, and returns all errors
// in it.
func (s *signal) retry(a annotation.Signal) (errs []error) {
	if a.Retry == nil {
		return nil
	}
	s.Retry = a.Retry
	if n := s.Retry.MaxAttempts; n < 1 {
		errs = append(errs, fmt.Errorf("mixin.Retry: MaxAttempts: %d; expected 1 or more", n))
	}
	least, most := s.Retry.MinBackoff, s.Retry.MaxBackoff
	switch {
	case least < 0:
		errs = append(errs, fmt.Errorf("mixin.Retry: MinBackoff: %v; expected 0 (the default) or more", least))
	case most < 0:
		errs = append(errs, fmt.Errorf("mixin.Retry: MaxBackoff: %v; expected 0 (the default) or more", most))
	case most > 0 && most < least:
		errs = append(errs, fmt.Errorf("mixin.Retry: MaxBackoff: %v; expected at least MinBackoff, which is %v", most, least))
	}
	taken, missing := s.fieldsOf("mixin.Retry", retry.FieldAttempts, retry.FieldRetryAt, retry.FieldFailedAt, retry.FieldError)
	errs = append(errs, taken...)
	for _, name := range missing {
		errs = append(errs, fmt.Errorf("a RetryPolicy without the field %q; add mixin.Retry to the schema's Mixin method, which adds both", name))
	}
	return errs
}

// trace sets from the annotation whether the signal has mixin.Trace, and returns all
// errors in it.
func (s *signal) trace(a annotation.Signal) (errs []error) {
	if !a.Trace {
		return nil
	}
	s.Trace = true
	errs, missing := s.fieldsOf("mixin.Trace", trace.FieldRecordedAt, trace.FieldTraceparent, trace.FieldTracestate)
	for _, name := range missing {
		errs = append(errs, fmt.Errorf("mixin.Trace without its field %q; use the mixin as it is", name))
	}
	return errs
}

// fieldsOf looks for the fields of a mixin. It returns an error for each other field
// that has taken the column of one, and the names of those that are missing.
func (s *signal) fieldsOf(mixin string, names ...string) (taken []error, missing []string) {
	for _, name := range names {
		found := false
		for _, f := range s.Fields {
			switch {
			case f.StorageKey() != name:
			case f.Name == name:
				found = true
			default:
				taken = append(taken, fmt.Errorf("field %q: its column %s belongs to %s; give it another StorageKey", f.Name, name, mixin))
			}
		}
		if !found {
			missing = append(missing, name)
		}
	}
	return taken, missing
}

// foreignKeys determines what the database does when a row is deleted.
type foreignKeys struct {
	graph  *gen.Graph
	tables []*schema.Table
}

func newForeignKeys(g *gen.Graph) (*foreignKeys, error) {
	tables, err := g.Tables()
	if err != nil {
		return nil, err
	}
	return &foreignKeys{graph: g, tables: tables}, nil
}

// foreignKey is a foreign key of a table.
type foreignKey struct {
	table *schema.Table
	key   *schema.ForeignKey
}

// refusing returns each foreign key that would prevent the deletion of a row of t:
// those that point to it, and those that point to rows that are deleted with it.
func (k *foreignKeys) refusing(t *gen.Type) (refusing []foreignKey) {
	reached := map[string]bool{t.Table(): true}
	for deleted := []string{t.Table()}; len(deleted) > 0; deleted = deleted[1:] {
		for _, table := range k.tables {
			for _, fk := range table.ForeignKeys {
				switch {
				case fk.RefTable.Name != deleted[0]:
				case fk.OnDelete == schema.Cascade:
					if !reached[table.Name] {
						reached[table.Name] = true
						deleted = append(deleted, table.Name)
					}
				case fk.OnDelete == schema.SetDefault, fk.OnDelete == schema.SetNull && fk.Columns[0].Nullable:
				default:
					refusing = append(refusing, foreignKey{table, fk})
				}
			}
		}
	}
	return refusing
}

// refuses returns the error about a foreign key that points to the signal t, or to
// rows that are deleted with it. Most entities that are no messages have such keys,
// so a user who adds mixin.Signal to the wrong schema gets this error. It must not
// simply recommend a cascade, which would delete rows that must stay.
func (k *foreignKeys) refuses(t *gen.Type, by foreignKey) error {
	return fmt.Errorf("%s would prevent the deletion of a signal, but every signal is deleted after it is sent. Is %s a message, whose rows may be deleted? Then add entsql.OnDelete(entsql.Cascade) to the edge's annotations: it deletes the rows of %s together with the message. If these rows must stay, %[2]s must not be a signal: remove mixin.Signal, and record the message as a separate entity without this edge", k.describe(by.table, by.key), t.Name, by.table.Name)
}

// describe returns the edge of a foreign key, as a text.
func (k *foreignKeys) describe(table *schema.Table, fk *schema.ForeignKey) string {
	for _, t := range k.graph.Nodes {
		for _, e := range t.Edges {
			if !e.IsInverse() && e.Rel.Table == table.Name && e.Rel.Column() == fk.Columns[0].Name {
				return fmt.Sprintf("the foreign key of edge %q of schema %s", e.Name, t.Name)
			}
		}
	}
	return fmt.Sprintf("the foreign key %s of table %s", fk.Symbol, table.Name)
}

// children returns the edges of t to what is deleted with it.
func (k *foreignKeys) children(t *gen.Type) (edges []*gen.Edge) {
	for _, e := range t.Edges {
		if e.M2M() || e.OwnFK() {
			continue
		}
		for _, table := range k.tables {
			for _, fk := range table.ForeignKeys {
				if table.Name == e.Rel.Table && fk.Columns[0].Name == e.Rel.Column() && fk.OnDelete == schema.Cascade {
					edges = append(edges, e)
				}
			}
		}
	}
	return edges
}
