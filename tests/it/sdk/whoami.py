"""Reads the tenant with a user's access token, through the official Python SDK.

Usage: whoami.py URL APP_ID APP_SECRET   (the token comes on stdin)

Prints one JSON object: whose token it is, and the titles in the root folder.
"""

import json
import sys

import lark_oapi as lark
from lark_oapi.api.authen.v1 import GetUserInfoRequest
from lark_oapi.api.drive.v1 import ListFileRequest

url, app_id, app_secret = sys.argv[1:4]
token = sys.stdin.read().strip()
client = (
    lark.Client.builder()
    .app_id(app_id)
    .app_secret(app_secret)
    .domain(url)
    .enable_set_token(True)
    .log_level(lark.LogLevel.ERROR)
    .build()
)
option = lark.RequestOption.builder().user_access_token(token).build()

me = client.authen.v1.user_info.get(GetUserInfoRequest.builder().build(), option)
if not me.success():
    sys.exit(f"user info: code {me.code}, {me.msg}")
listed = client.drive.v1.file.list(ListFileRequest.builder().build(), option)
if not listed.success():
    sys.exit(f"list files: code {listed.code}, {listed.msg}")
print(json.dumps({"user": me.data.name, "root": [f.name for f in listed.data.files]}))
