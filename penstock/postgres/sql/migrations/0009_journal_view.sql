-- The journal for who reads it: its JSON as json, with what each answer was made from.
CREATE OR REPLACE VIEW app.journal AS
SELECT p.id, p.model, p.asked_at, p.answered_at, p.request::json AS request, p.looked_up::json AS looked_up,
       p.outcome::json AS outcome, o.release, o.artifact, o.snapshots::json AS snapshots, p.request_id
FROM app.prediction p JOIN app.origin o ON o.id = p.origin;

SELECT app.prepare_journal();
