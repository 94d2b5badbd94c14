package secret

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		`parse "amqp://lim:s3c%ret@mq:5672/x": invalid URL escape "%re"`:  `parse "amqp://***@mq:5672/x": invalid URL escape "%re"`,
		`parse "postgres://u:s3c ret@h": net/url: invalid userinfo`:       `parse "postgres://***@h": net/url: invalid userinfo`,
		`missing "=" after "mysql://u:s3cr@et@h/db"`:                      `missing "=" after "mysql://***@h/db"`,
		`cannot connect: host=db user=u password=s3cret dbname=x`:         `cannot connect: host=db user=u password=*** dbname=x`,
		`dsn "postgres://h/db?user=u&password=s3cret&sslmode=disable"`:    `dsn "postgres://h/db?user=u&password=***&sslmode=disable"`,
		`host=db PASSWORD = 's3c ret' x`:                                  `host=db PASSWORD=*** x`,
		`password authentication failed for user "shop"`:                  `password authentication failed for user "shop"`,
		`dial tcp 127.0.0.1:5432: connect: connection refused (ada@home)`: `dial tcp 127.0.0.1:5432: connect: connection refused (ada@home)`,
		`dial "amqp://u:12/3?4@mq:5672/": no such host`:                   `dial "amqp://***@mq:5672/": no such host`,
		`bad amqp://u:pa ss@mq/ given`:                                    `bad amqp://***@mq/ given`,
		`"https://u:p/q@h/x": invalid port`:                               `"https://***@h/x": invalid port`,
		`root:s3:c@ret@tcp(db:3306)/shop is down`:                         `***@tcp(db:3306)/shop is down`,
		`POST https://u:p@api.example.com/x?token=t0k&a=1: 500`:           `POST https://***@api.example.com/x?token=***&a=1: 500`,
		`a "postgres://u:p@h/d", a "amqp://v:q@m"`:                        `a "postgres://***@h/d", a "amqp://***@m"`,
	} {
		assert.Equal(t, want, Redact(in))
	}
}

// An operator needs the rest of the text, and the hints of the library show how
// a URL looks.
func TestRedactLeavesWhatIsNoCredential(t *testing.T) {
	for _, text := range []string{
		`POST https://api.example.com/rates/EUR: 422 no rate for customer ada@example.com`,
		`Get "https://api.example.com/users/ada@example.com?cc=bob@example.com": EOF`,
		`https://api.example.com:8443/users/ada@example.com: 404`,
		`publish to amqp://localhost:5672/shop: no queue for ada@example.com`,
		`publish to "amqp://localhost/ada@example.com"`,
		`postgres://db/shop?user=ada@example.com`,
		`want amqp://user:password@host:port/vhost or amqps://…, with special characters percent-encoded`,
		`want postgres://user:password@host:port/database?sslmode=verify-full, or user=… password=… host=… dbname=…`,
		`422: the password = pattern must be at least 8 characters`,
		`mail ada@example.com (bob@tcp) to: x@y(z`,
		`://@`,
	} {
		assert.Equal(t, text, Redact(text))
	}
}

// Whatever a password consists of, the errors that drivers make of a URL or of
// a list of settings don't show it.
func FuzzRedact(f *testing.F) {
	for _, s := range []string{"s3cret", "a@b", "a/b@c", "%zz", "a b", "a:b?c=d&e", "://", "a=b", "pass@://word"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, password string) {
		password = "S3" + strings.Map(func(r rune) rune {
			if strings.ContainsRune("\"'\\\n", r) {
				return '_' // drivers show them escaped
			}
			return r
		}, password) + "CRET"
		for _, text := range []string{
			`parse "postgres://u:` + password + `@db.example/shop": invalid userinfo`,
			`dial "amqp://u:` + password + `@broker.example:port/": invalid port`,
			`cannot parse "user=u password='` + password + `' host=h"`,
		} {
			require.NotContains(t, Redact(text), password)
			require.Contains(t, Redact(text), "***")
		}
	})
}
