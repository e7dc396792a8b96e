# What jq has and jaq says otherwise, or not at all.

def join($separator):
  [.[] | if . == null then "" elif type == "string" then . else tojson end]
  | if length == 0 then "" else reduce .[1:][] as $part (.[0]; . + $separator + $part) end;

def from_entries:
  [.[] | {
    (if has("key") then .key elif has("k") then .k elif has("name") then .name else null end
      | if type == "string" then . else tojson end):
    (if has("value") then .value else .v end)
  }] | add // {};

def index($wanted): if . == null then null else indices($wanted) | .[0] end;

def @csv:
  [.[] | if type == "string" then "\"" + gsub("\""; "\"\"") + "\"" elif . == null then "" else tojson end] | join(",");

def @tsv:
  [.[] | if type == "string" then gsub("\\\\"; "\\\\") | gsub("\t"; "\\t") | gsub("\n"; "\\n") | gsub("\r"; "\\r")
         elif . == null then "" else tojson end] | join("\t");
