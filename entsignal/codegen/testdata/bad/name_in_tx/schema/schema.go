// Package schema has an entity of a name that is taken.
package schema

import (
	"entgo.io/ent"
)

type InTx struct{ ent.Schema }
