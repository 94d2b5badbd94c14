package table

import (
	"database/sql"
	"database/sql/driver"
	"encoding"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"entgo.io/ent/schema/field"
)

// idCodec converts the ids of one signal type to database values, and to the texts
// by which people and consumers know them. The bus uses the database values
// everywhere: two ids are the same if their database values are.
type idCodec[ID any] struct {
	// scanner points to the ValueScanner of the field, which ent sets while the
	// program starts; nil if the field has none.
	scanner *field.TypeValueScanner[ID]
	// valuer means that the type itself determines what is stored.
	valuer bool
	bytes  bool // the ids are slices of bytes
	form   idForm
}

// idForm determines the text of an id.
type idForm int

const (
	formPrinted   idForm = iota // as fmt prints it
	formMarshaled               // what its MarshalText returns
	formStored                  // what the database stores
)

func newIDCodec[ID any](scanner *field.TypeValueScanner[ID]) idCodec[ID] {
	c := idCodec[ID]{scanner: scanner}
	var id ID
	_, c.valuer = any(id).(driver.Valuer)
	_, spoken := any(id).(fmt.Stringer)
	_, marshals := any(id).(encoding.TextMarshaler)
	t := reflect.TypeFor[ID]()
	c.bytes = t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8
	switch kind := t.Kind(); {
	case spoken, kind == reflect.String, kind >= reflect.Int && kind <= reflect.Uint64:
	case marshals:
		c.form = formMarshaled
	default:
		c.form = formStored
	}
	return c
}

// plain reports whether the database stores an id unchanged.
func (c idCodec[ID]) plain() bool {
	return c.scanner == nil && !c.valuer && !c.bytes && c.form == formPrinted
}

// value returns the database value of an id.
func (c idCodec[ID]) value(id ID) (any, error) {
	var (
		v   any
		err error
	)
	switch {
	case c.scanner != nil:
		var of field.TypeValueScanner[ID]
		if of, err = c.external(); err == nil {
			v, err = of.Value(id)
		}
	case c.valuer:
		if p := reflect.ValueOf(id); p.Kind() == reflect.Pointer && p.IsNil() {
			return nil, nil
		}
		v, err = any(id).(driver.Valuer).Value()
	case c.bytes:
		return reflect.ValueOf(id).Bytes(), nil
	default:
		return id, nil
	}
	if err != nil {
		return nil, fmt.Errorf("id %v: %w", id, err)
	}
	return v, nil
}

// scan reads an id with a function that scans one column.
func (c idCodec[ID]) scan(scan func(dest any) error) (id ID, _ error) {
	if c.scanner == nil {
		return id, scan(&id)
	}
	of, err := c.external()
	if err != nil {
		return id, err
	}
	v := of.ScanValue()
	if err := scan(v); err != nil {
		return id, err
	}
	return of.FromValue(v)
}

// external returns the ValueScanner of the field.
func (c idCodec[ID]) external() (field.TypeValueScanner[ID], error) {
	if *c.scanner == nil {
		return nil, errors.New("its ValueScanner is not set: import the ent project's package runtime in the program's main; see ent's documentation of hooks")
	}
	return *c.scanner, nil
}

// textOf returns the text of an id, given its database value.
func (c idCodec[ID]) textOf(stored any) string {
	id, err := c.scan(func(dest any) error { return scanValue(dest, stored) })
	if err != nil {
		return storedText(stored)
	}
	return c.text(id)
}

// text returns the text of an id.
func (c idCodec[ID]) text(id ID) string {
	switch c.form {
	case formMarshaled:
		if text, err := any(id).(encoding.TextMarshaler).MarshalText(); err == nil {
			return string(text)
		}
	case formStored:
		if v, err := c.value(id); err == nil {
			return storedText(v)
		}
	}
	return formatID(id)
}

// parse returns the id with this text. A type of the project's own is parsed by its
// own methods (encoding.TextUnmarshaler, or else its ValueScanner or sql.Scanner),
// unless it is a number or a string whose text is its plain value.
func (c idCodec[ID]) parse(text string) (ID, error) {
	var (
		id    ID
		first error
	)
	err := c.unmarshal(&id, text)
	if err == nil {
		return id, nil
	}
	readers := []func(*ID, string) error{c.readStored}
	if errors.Is(err, errNoForm) {
		readers = []func(*ID, string) error{c.readKind, c.readStored}
	} else {
		first = err
	}
	own := reflect.TypeFor[ID]().PkgPath() != ""
	for _, read := range readers {
		var id ID
		err := read(&id, text)
		if err == nil && own && c.text(id) != text {
			err = fmt.Errorf("it can't be read as a %T", id)
		}
		switch {
		case err == nil:
			return id, nil
		case first == nil && !errors.Is(err, errNoForm):
			first = err
		}
	}
	if first == nil {
		first = fmt.Errorf("a %T can't be read from a text: it has no UnmarshalText method", id)
	}
	return id, first
}

// errNoForm means that a type can't be parsed in this way.
var errNoForm = errors.New("not read so")

// unmarshal parses an id with its UnmarshalText.
func (c idCodec[ID]) unmarshal(id *ID, text string) error {
	v := reflect.ValueOf(id).Elem()
	u, ok := any(id).(encoding.TextUnmarshaler)
	if !ok && v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		u, ok = v.Interface().(encoding.TextUnmarshaler)
	}
	if !ok {
		return errNoForm
	}
	if err := u.UnmarshalText([]byte(text)); err != nil {
		return fmt.Errorf("expected a %s: %w", v.Type(), err)
	}
	return nil
}

// readKind parses an id that is a number or a string.
func (c idCodec[ID]) readKind(id *ID, text string) error {
	v := reflect.ValueOf(id).Elem()
	switch {
	case v.CanInt():
		bits := v.Type().Bits()
		n, err := strconv.ParseInt(text, 10, bits)
		if err != nil {
			return numberError(err, bits, "a whole number")
		}
		v.SetInt(n)
	case v.CanUint():
		bits := v.Type().Bits()
		n, err := strconv.ParseUint(text, 10, bits)
		if err != nil {
			return numberError(err, bits, "a whole number from 0")
		}
		v.SetUint(n)
	case v.Kind() == reflect.String:
		v.SetString(text)
	default:
		return errNoForm
	}
	return nil
}

// readStored parses an id as if the text came from the database.
func (c idCodec[ID]) readStored(id *ID, text string) error {
	_, scans := any(id).(sql.Scanner)
	_, pointer := any(*id).(sql.Scanner)
	if c.scanner == nil && !scans && !pointer && !c.bytes {
		return errNoForm
	}
	var first error
	for _, stored := range storedForms(text) {
		got, err := c.scan(func(dest any) error { return scanValue(dest, stored) })
		if err == nil && c.text(got) == text {
			*id = got
			return nil
		}
		if err != nil && first == nil {
			first = fmt.Errorf("expected a %T: %w", *id, err)
		}
	}
	if first == nil {
		first = fmt.Errorf("it can't be read as a %T", *id)
	}
	return first
}

// scanValue scans a value into dest, as database/sql does with a column.
func scanValue(dest, v any) error {
	if s, ok := dest.(sql.Scanner); ok {
		return s.Scan(v)
	}
	d := reflect.ValueOf(dest).Elem()
	if d.Kind() == reflect.Pointer {
		d.Set(reflect.New(d.Type().Elem()))
		return scanValue(d.Interface(), v)
	}
	if b, ok := v.([]byte); ok && d.Kind() == reflect.Slice && d.Type().Elem().Kind() == reflect.Uint8 {
		d.SetBytes(b)
		return nil
	}
	return fmt.Errorf("a %s can't be read from a %T", d.Type(), v)
}

// hexPrefix begins the text of bytes that are not a valid text.
const hexPrefix = "0x"

// storedText returns the text of a database value.
func storedText(v any) string {
	switch v := v.(type) {
	case []byte:
		text := string(v)
		plain := utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
		if !plain || strings.HasPrefix(text, hexPrefix) {
			return hexPrefix + hex.EncodeToString(v)
		}
		return text
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	default:
		return formatID(v)
	}
}

// storedForms returns the database values that have this text.
func storedForms(text string) []any {
	forms := []any{text}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		forms = append(forms, n)
	}
	if digits, ok := strings.CutPrefix(text, hexPrefix); ok {
		if b, err := hex.DecodeString(digits); err == nil {
			forms = append(forms, b)
		}
	} else {
		forms = append(forms, []byte(text))
	}
	if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
		forms = append(forms, at)
	}
	return forms
}

func numberError(err error, bits int, expected string) error {
	if errors.Is(err, strconv.ErrRange) {
		return fmt.Errorf("expected %s of %d bits", expected, bits)
	}
	return fmt.Errorf("expected %s", expected)
}

// formatID returns the text of an id that fmt prints.
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
