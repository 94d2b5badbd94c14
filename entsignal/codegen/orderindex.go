package codegen

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/entc/gen"
	"entgo.io/ent/entc/load"

	"github.com/entsignal/signalbus/internal/annotation"
	"github.com/entsignal/signalbus/internal/database"
)

// orderIndex decides from the annotation whether to add an index of the order.
func (s *signal) orderIndex(a annotation.Signal) error {
	switch {
	case s.OrderBy == nil && s.OrderKey == nil && a.OrderIndex != nil && a.OrderBy == nil && a.OrderKey == nil:
		return errors.New("OrderIndex without OrderBy or OrderKey: there is no order to index")
	case s.OrderBy == nil && s.OrderKey == nil, a.OrderIndex != nil && !*a.OrderIndex:
		return nil
	}
	order := s.indexedOrder()
	if slices.ContainsFunc(s.indexes(), order.ServedBy) {
		return nil
	}
	var fields []*gen.Field
	for _, c := range order.Columns() {
		fields = append(fields, s.columnField(c.Column))
	}
	err := fitsIndex(fields)
	switch {
	case err == nil:
		s.OrderIndex = true
		return nil
	case a.OrderIndex != nil:
		return fmt.Errorf("OrderIndex: %w", err)
	default:
		return nil
	}
}

// indexedOrder returns the order in columns.
func (s *signal) indexedOrder() database.IndexedOrder {
	var o database.IndexedOrder
	if s.OrderKey != nil {
		o.Key = s.OrderKey.StorageKey()
	}
	id := s.ID.StorageKey()
	for _, term := range s.OrderColumns {
		o.Terms = append(o.Terms, database.Sorted{Column: term.Field(), Desc: term.Descending()})
	}
	if n := len(o.Terms); n == 0 || o.Terms[n-1].Column != id {
		o.Terms = append(o.Terms, database.Sorted{Column: id})
	}
	return o
}

// columnField returns the field of a column.
func (s *signal) columnField(column string) *gen.Field {
	i := slices.IndexFunc(s.Fields, func(f *gen.Field) bool { return f.StorageKey() == column })
	if i < 0 {
		return s.ID
	}
	return s.Fields[i]
}

// indexes returns the indexes that the schema has, but for those of a part of the
// rows or of columns, and of kinds that don't sort.
func (s *signal) indexes() []database.Index {
	all := []database.Index{{Columns: []database.Sorted{{Column: s.ID.StorageKey()}}, Unique: true}}
	for _, f := range s.Fields {
		if f.Unique {
			all = append(all, database.Index{Columns: []database.Sorted{{Column: f.StorageKey()}}, Unique: true})
		}
	}
	for _, x := range s.Indexes {
		a, err := indexAnnotation(x)
		if err != nil || a.Prefix != 0 || len(a.PrefixColumns) > 0 || a.Where != "" || a.Type != "" || len(a.Types) > 0 {
			continue
		}
		index := database.Index{Unique: x.Unique}
		for _, column := range x.Columns {
			index.Columns = append(index.Columns, database.Sorted{Column: column, Desc: a.Desc || a.DescColumns[column]})
		}
		all = append(all, index)
	}
	return all
}

// indexAnnotation returns the annotation of an index as its schema has it.
func indexAnnotation(x *gen.Index) (a entsql.IndexAnnotation, _ error) {
	raw, err := json.Marshal(x.Annotations[a.Name()])
	if err != nil {
		return a, err
	}
	return a, json.Unmarshal(raw, &a)
}

// maxIndexBytes is the size of the largest entry of an index of InnoDB.
const maxIndexBytes = 3072

// fitsIndex returns why an index of the fields can't be created in every database.
func fitsIndex(fields []*gen.Field) error {
	total := 0
	for _, f := range fields {
		n, err := indexBytes(f)
		if err != nil {
			return err
		}
		total += n
	}
	if total > maxIndexBytes {
		names := make([]string, len(fields))
		for i, f := range fields {
			names[i] = strconv.Quote(f.Name)
		}
		return fmt.Errorf("an index of the fields %s takes up to %d bytes, and MySQL allows %d; set MaxLen of the texts", strings.Join(names, ", "), total, maxIndexBytes)
	}
	return nil
}

var (
	unindexable = regexp.MustCompile(`(?i)text|blob|json|geometry`)
	length      = regexp.MustCompile(`\((\d+)\)`)
)

const (
	charBytes   = 4   // of utf8mb4
	otherBytes  = 36  // no type without a length is larger
	defaultSize = 255 // of a text, as ent creates it in MySQL
)

// indexBytes returns how many bytes a field takes in an index of MySQL.
func indexBytes(f *gen.Field) (int, error) {
	c := f.Column()
	own := c.SchemaType[dialect.MySQL]
	if unindexable.MatchString(own) {
		return 0, fmt.Errorf("field %q has the type %s in MySQL, which has no index of whole values", f.Name, own)
	}
	if match := length.FindStringSubmatch(own); match != nil {
		n, err := strconv.Atoi(match[1])
		return n * charBytes, err
	}
	switch {
	case own == "" && f.IsString():
		size := c.Size
		if size == 0 {
			size = defaultSize
		}
		return int(min(size, maxIndexBytes)) * charBytes, nil
	default:
		return otherBytes * charBytes, nil
	}
}

// addOrderIndexes adds the index of its order to each signal that lacks one.
func addOrderIndexes(signals []*signal) error {
	for _, s := range signals {
		if !s.OrderIndex {
			continue
		}
		index := &load.Index{}
		a := entsql.IndexAnnotation{DescColumns: make(map[string]bool)}
		for _, c := range s.indexedOrder().Columns() {
			index.Fields = append(index.Fields, s.columnField(c.Column).Name)
			if c.Desc {
				a.DescColumns[c.Column] = true
			}
		}
		if len(a.DescColumns) > 0 {
			index.Annotations = map[string]any{a.Name(): a}
		}
		if err := s.AddIndex(index); err != nil {
			return fmt.Errorf("entsignal: schema %s: add the index of its order: %w", s.Name, err)
		}
		// An index of the same columns in other directions may have the same name.
		added := s.Indexes[len(s.Indexes)-1]
		for slices.ContainsFunc(s.Indexes[:len(s.Indexes)-1], func(x *gen.Index) bool { return x.Name == added.Name }) {
			added.Name += "_order"
		}
	}
	return nil
}
