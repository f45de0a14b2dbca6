"""SQL, and only SQL: the schema, the connections, and one module of queries for each noun."""

from collector.store.thrift import count_no_memory

count_no_memory()  # before anything here imports sqlite3
