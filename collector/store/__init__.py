"""SQL, and only SQL: the schema, the connections, and one module of queries for each noun."""
