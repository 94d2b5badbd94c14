package database

import (
	"strconv"
	"time"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

// The driver sends a time to MySQL as digits, in the loc of its DSN, and the server interprets
// them in the session's time_zone. Processes with a different loc or time_zone would read each
// other's times wrongly. So times are written and read as seconds since 1970.

// timeArg returns a time as an argument of a statement.
func timeArg(dialectName string, t time.Time) any {
	if dialectName != dialect.MySQL {
		return t
	}
	return sql.Raw("FROM_UNIXTIME(" + unixSeconds(t) + ")")
}

func unixSeconds(t time.Time) string {
	return strconv.FormatFloat(float64(t.UnixMicro())/1e6, 'f', 6, 64)
}

// Later matches the rows with a time in the column that is after t.
func Later(s *sql.Selector, column string, t time.Time) *sql.Predicate {
	return sql.P(func(b *sql.Builder) {
		if s.Dialect() == dialect.MySQL {
			b.WriteString("UNIX_TIMESTAMP(").Ident(s.C(column)).WriteString(") > " + unixSeconds(t))
			return
		}
		b.Ident(s.C(column)).WriteString(" > ").Arg(t)
	})
}

// instantPrefix begins the names under which instants are selected.
const instantPrefix = "entsignal_"

// SelectInstants makes a query of rows select the times in the columns in a form
// that [Instant] reads. It is needed where the driver's own form is not reliable.
func SelectInstants(s *sql.Selector, columns ...string) {
	if s.Dialect() != dialect.MySQL {
		return
	}
	for _, column := range columns {
		s.AppendSelectExprAs(sql.ExprFunc(func(b *sql.Builder) {
			b.WriteString("CAST(UNIX_TIMESTAMP(").Ident(s.C(column)).WriteString(") * 1000000 AS SIGNED)")
		}), instantPrefix+column)
	}
}

// Instant returns the time in a column that [SelectInstants] has selected. get
// returns the value that a row has under a name. It returns false if there is none.
func Instant(get func(name string) (any, error), column string) (*time.Time, bool) {
	v, err := get(instantPrefix + column)
	if err != nil {
		return nil, false
	}
	if v == nil {
		return nil, true
	}
	return instant(v)
}

func instant(v any) (*time.Time, bool) {
	var micros int64
	switch v := v.(type) {
	case int64:
		micros = v
	case []byte: // without a prepared statement
		var err error
		if micros, err = strconv.ParseInt(string(v), 10, 64); err != nil {
			return nil, false
		}
	default:
		return nil, false
	}
	at := time.UnixMicro(micros).UTC()
	return &at, true
}

// SelectTimes makes a query of columns select the times in them as [Time] reads
// them.
func SelectTimes(s *sql.Selector, columns ...string) {
	if s.Dialect() == dialect.MySQL {
		SelectInstants(s, columns...)
		return
	}
	for _, column := range columns {
		s.AppendSelect(s.C(column))
	}
}

// Time reads a column that [SelectTimes] has selected, with any driver.
type Time struct{ At *time.Time }

// timeLayouts are the forms in which SQLite's drivers return times as texts.
var timeLayouts = []string{
	"2006-01-02 15:04:05.999999999-07:00", time.RFC3339Nano,
	"2006-01-02 15:04:05.999999999 -0700 MST", "2006-01-02 15:04:05.999999999",
}

// Scan implements database/sql's Scanner. A value that is not a time counts as a
// time long past.
func (t *Time) Scan(v any) error {
	t.At = nil
	switch v := v.(type) {
	case nil:
		return nil
	case time.Time:
		t.At = &v
		return nil
	}
	if at, ok := instant(v); ok {
		t.At = at
		return nil
	}
	text, ok := v.(string)
	if b, bytes := v.([]byte); bytes {
		text, ok = string(b), true
	}
	for _, layout := range timeLayouts {
		if at, err := time.Parse(layout, text); ok && err == nil {
			t.At = &at
			return nil
		}
	}
	past := time.Unix(0, 0)
	t.At = &past
	return nil
}
