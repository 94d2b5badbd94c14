//go:build tools

package integration

import (
	_ "entgo.io/contrib/entgql"
	_ "entgo.io/ent/entc"
)
