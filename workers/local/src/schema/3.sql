-- The highest publication of the active policies that a decision of the scope was taken by; 0: none.
ALTER TABLE scopes ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
